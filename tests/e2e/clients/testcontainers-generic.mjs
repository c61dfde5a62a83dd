// Run by testcontainers.interop.test.ts under Node: what a user of testcontainers writes, against DOCKER_HOST.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { GenericContainer, getContainerRuntimeClient, Wait } from "testcontainers";

const IMAGE = "alpine:3.20";
const SERVER = "mkdir /www; echo hello > /www/index.html; echo listening; exec httpd -f -p 8080 -h /www";
/** Says what it is sent. */
const UDP_LISTENER = `$| = 1; use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 5005, Proto => "udp");
  print "ready\\n"; while ($s->recv(my $m, 1000)) { print $m }`;
const SLEEPER = ["sh", "-c", "trap exit TERM; while :; do sleep 0.05; done"];
const server = () => new GenericContainer(IMAGE).withCommand(["sh", "-c", SERVER]).withExposedPorts(8080);
const sleeper = () => new GenericContainer(IMAGE).withCommand(SLEEPER);
const text = async (stream) => Buffer.concat(await Array.fromAsync(stream, (chunk) => Buffer.from(chunk))).toString();

test("waits for a line of the log", async () => {
  const script = "for i in 1 2 3; do echo line $i; echo warning $i >&2; sleep 0.1; done; sleep 60";
  await using container = await new GenericContainer(IMAGE)
    .withCommand(["sh", "-c", script])
    .withWaitStrategy(Wait.forLogMessage(/warning \d/, 3))
    .start();
  let seen = "";
  for await (const chunk of await container.logs()) {
    seen += chunk;
    if (seen.split("\n").length > 6) break;
  }
  const lines = seen.trim().split("\n");
  assert.deepEqual(lines.toSorted(), ["line 1", "line 2", "line 3", "warning 1", "warning 2", "warning 3"]);
});

test("waits for a log line that never comes, and says so", async () => {
  const starting = sleeper().withWaitStrategy(Wait.forLogMessage("never").withStartupTimeout(700)).start();
  await assert.rejects(starting, /Log message "never" not received after 700ms/);
});

test("waits for ports and talks through them", async () => {
  await using container = await server().start();
  const response = await fetch(`http://${container.getHost()}:${container.getMappedPort(8080)}`);
  assert.equal(await response.text(), "hello\n");
  assert.equal(container.getFirstMappedPort(), container.getMappedPort("8080/tcp"));
});

test("publishes at the port that was asked for, and several ports", async () => {
  const probe = await server().start();
  const free = probe.getMappedPort(8080);
  await probe.stop();
  await using container = await sleeper()
    .withExposedPorts({ container: 8080, host: free }, 9000, "9001/udp")
    .withWaitStrategy(Wait.forSuccessfulCommand("true"))
    .start();
  assert.equal(container.getMappedPort(8080), free);
  assert.notEqual(container.getMappedPort(9000), container.getMappedPort("9001/udp"));
  assert.throws(() => container.getMappedPort(1), /No port binding found/);
});

test("reaches a UDP port", async () => {
  await using container = await new GenericContainer("redis:7")
    .withCommand(["perl", "-e", UDP_LISTENER])
    .withExposedPorts("5005/udp")
    .withWaitStrategy(Wait.forLogMessage("ready"))
    .start();
  const client = createSocket("udp4");
  const sending = setInterval(
    () => client.send("health_check\n", container.getMappedPort("5005/udp"), "127.0.0.1"),
    50,
  );
  for await (const line of await container.logs()) if (line.toString().includes("health_check")) break;
  clearInterval(sending);
  client.close();
});

test("waits for HTTP", async () => {
  const http = Wait.forHttp("/", 8080)
    .forStatusCode(200)
    .forResponsePredicate((body) => body === "hello\n");
  await using container = await server().withWaitStrategy(http).start();
  assert.ok(container.getId());
});

test("waits for health, of a check given by hand", async () => {
  await using container = await new GenericContainer(IMAGE)
    .withCommand(["sh", "-c", "sleep 0.4; touch /ready; exec sleep 60"])
    .withHealthCheck({
      test: ["CMD-SHELL", "test -e /ready"],
      interval: 100,
      timeout: 1000,
      retries: 50,
      startPeriod: 100,
    })
    .withWaitStrategy(Wait.forHealthCheck())
    .start();
  assert.equal((await container.exec(["ls", "/ready"])).output, "/ready\n");
});

test("gives up on a container that becomes unhealthy", async () => {
  const starting = sleeper()
    .withHealthCheck({ test: ["CMD", "false"], interval: 50, timeout: 1000, retries: 1, startPeriod: 1 })
    .withWaitStrategy(Wait.forHealthCheck())
    .start();
  await assert.rejects(starting, /Health check failed: unhealthy/);
});

test("waits for a one-shot container, and notices its failure", async () => {
  const oneShot = (script) =>
    new GenericContainer(IMAGE).withCommand(["sh", "-c", script]).withWaitStrategy(Wait.forOneShotStartup()).start();
  await using container = await oneShot("echo done");
  assert.equal(await text(await container.logs()), "done\n");
  await assert.rejects(oneShot("exit 7"), /Container failed to start/);
});

test("waits for a command, and for several things", async () => {
  const all = Wait.forAll([
    Wait.forSuccessfulCommand("test -e /www"),
    Wait.forListeningPorts(),
    Wait.forLogMessage("listening"),
  ]);
  await using container = await server().withWaitStrategy(all).start();
  assert.ok(container.getMappedPort(8080));
});

test("executes: output of both streams in order, exit code, user, directory, environment", async () => {
  await using container = await sleeper().start();
  const both = await container.exec(["sh", "-c", "echo out; sleep 0.1; echo err >&2; exit 3"]);
  assert.deepEqual(both, { output: "out\nerr\n", stdout: "out\n", stderr: "err\n", exitCode: 3 });
  const options = { user: "nobody", workingDir: "/var/log", env: { GREETING: "hi" } };
  const details = await container.exec(["sh", "-c", "whoami; pwd; echo $GREETING"], options);
  assert.equal(details.output, "nobody\n/var/log\nhi\n");
  const big = await container.exec(["sh", "-c", "dd if=/dev/zero bs=1024 count=2048 2>/dev/null | tr '\\0' x"]);
  assert.equal(big.output.length, 2 * 1024 * 1024);
  const many = await Promise.all(Array.from({ length: 20 }, (_, i) => container.exec(["echo", `${i}`])));
  assert.deepEqual(
    many.map(({ output }) => output),
    Array.from({ length: 20 }, (_, i) => `${i}\n`),
  );
});

test("creates with what it was told", async () => {
  await using container = await sleeper()
    .withName(`tc-options-${process.pid}`)
    .withHostname("my-host")
    .withEnvironment({ A: "1", B: "two words" })
    .withLabels({ "my.label": "x" })
    .withUser("nobody")
    .withWorkingDir("/tmp")
    .withTmpFs({ "/scratch": "rw,noexec,size=65536k" })
    .withUlimits({ nofile: { hard: 2000, soft: 1000 } })
    .withAddedCapabilities("NET_ADMIN")
    .withDroppedCapabilities("CHOWN")
    .withSecurityOpt("no-new-privileges:true")
    .withExtraHosts([{ host: "elsewhere", ipAddress: "10.11.12.13" }])
    .withResourcesQuota({ memory: 0.125, cpu: 0.5 })
    .withSharedMemorySize(8 * 1024 * 1024)
    .withIpcMode("private")
    .withDefaultLogDriver()
    .start();
  const script =
    'hostname; echo "$A $B"; id -un; pwd; sed -n "s/Max open files *//p" /proc/1/limits; grep -w elsewhere /etc/hosts; df -k /dev/shm | tail -1';
  const { output } = await container.exec(["sh", "-c", script]);
  const lines = output.trim().split("\n");
  assert.deepEqual(lines.slice(0, 4), ["my-host", "1 two words", "nobody", "/tmp"]);
  assert.match(lines[4], /^1000 +2000 /);
  assert.match(lines[5], /^10\.11\.12\.13\s+elsewhere$/);
  assert.match(lines[6], /\s8192\s/);
  assert.equal(container.getName(), `/tc-options-${process.pid}`);
  assert.equal(container.getHostname(), "my-host");
  assert.equal(container.getLabels()["my.label"], "x");
  const { container: client } = await getContainerRuntimeClient();
  const { HostConfig } = await client.inspect(client.getById(container.getId()));
  assert.equal(HostConfig.Memory, 128 * 1024 * 1024);
  assert.equal(HostConfig.NanoCpus, 500_000_000);
  assert.deepEqual(HostConfig.CapAdd, ["NET_ADMIN"]);
  assert.deepEqual(HostConfig.Tmpfs, { "/scratch": "rw,noexec,size=65536k" });
  assert.match(
    (await container.exec(["mount"])).output,
    /tmpfs on \/scratch type tmpfs \(rw,[^)]*noexec[^)]*size=65536k/,
  );
});

test("restarts, stops, and keeps a stopped container for a later start", async () => {
  const container = await server().start();
  await container.restart();
  assert.equal(await (await fetch(`http://localhost:${container.getMappedPort(8080)}`)).text(), "hello\n");
  await container.exec(["touch", "/kept"]);
  const stopped = await container.stop({ remove: false, timeout: 1000 });
  const { container: client } = await getContainerRuntimeClient();
  const handle = client.getById(stopped.getId());
  assert.equal((await client.inspect(handle)).State.Status, "exited");
  await client.start(handle);
  assert.equal((await client.exec(handle, ["ls", "/kept"])).output, "/kept\n");
  await client.stop(handle);
  await client.remove(handle, { removeVolumes: true });
  await assert.rejects(client.inspect(handle), /no such container/i);
});

test("commits to an image and runs it", async () => {
  const container = await sleeper().start();
  await container.exec(["sh", "-c", "echo committed > /made"]);
  const image = `tc-committed:${process.pid}`;
  const [repo, tag] = image.split(":");
  await container.commit({
    repo,
    tag,
    author: "me",
    comment: "made in a test",
    changes: ["ENV MADE=yes"],
    deleteOnExit: false,
  });
  await container.stop();
  await using again = await new GenericContainer(image).withCommand(SLEEPER).start();
  assert.equal((await again.exec(["sh", "-c", "cat /made; echo $MADE"])).output, "committed\nyes\n");
});

test("reuses a running container", async () => {
  const labelled = () =>
    sleeper()
      .withLabels({ "reuse.me": `${process.pid}` })
      .withReuse();
  const first = await labelled().start();
  const second = await labelled().start();
  assert.equal(second.getId(), first.getId());
  await first.stop();
});

test("takes the log to a consumer from the first line", async () => {
  const lines = [];
  await using container = await new GenericContainer(IMAGE)
    .withCommand(["sh", "-c", "echo one; sleep 0.2; echo two >&2; sleep 60"])
    .withLogConsumer((stream) => stream.on("data", (line) => lines.push(line.toString().trim())))
    .withWaitStrategy(Wait.forLogMessage("two"))
    .start();
  for (let i = 0; i < 100 && lines.length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(lines, ["one", "two"]);
  assert.equal(await text(await container.logs({ tail: 1 }).then(firstLine)), "two\n");
});

/** The log is followed: end it after a line. */
async function* firstLine(stream) {
  for await (const line of stream) {
    yield `${line.toString().trim()}\n`;
    return;
  }
}

test("an image that nobody has is said to be missing", async () => {
  await assert.rejects(new GenericContainer("localhost:1/nobody/has:this").start());
});

test("sees the events of a container's life", async () => {
  const { container: client } = await getContainerRuntimeClient();
  const events = await client.dockerode.getEvents({
    filters: { type: ["container"], event: ["create", "start", "die", "destroy"] },
  });
  const container = await sleeper().start();
  await container.stop();
  const seen = [];
  let rest = "";
  reading: for await (const chunk of events) {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      if (event.Actor.ID !== container.getId()) continue;
      seen.push(event.Action);
      if (event.Action === "destroy") break reading;
    }
  }
  assert.deepEqual(seen, ["create", "start", "die", "destroy"]);
});
