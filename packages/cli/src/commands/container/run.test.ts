import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../run-cli.ts";
import { type StreamingBehaviour, StreamingEngine } from "../../testing/streaming-engine.ts";
import { TestIo, type TestIoOptions } from "../../testing/test-io.ts";

let directory: string;
let sockets = 0;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "slipway-run-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function run(argv: readonly string[], behaviour: StreamingBehaviour = {}, options: TestIoOptions = {}) {
  await using engine = await StreamingEngine.start(join(directory, `${sockets++}.sock`), behaviour);
  const env = { ...options.env, DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: directory };
  const io = new TestIo({ ...options, env });
  const status = await runCli(argv, io);
  return { status, stdout: io.stdout.text, stderr: io.stderr.text, engine };
}

const bodyOf = async (line: string) => {
  const { engine, status, stderr } = await run(["create", ...line.split(" ")]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return engine.requests.find((request) => request.line.startsWith("POST /containers/create"))?.body;
};

test("run attaches and waits before it starts, shows both streams and ends with the process's code", async () => {
  const { status, stdout, stderr, engine } = await run(["run", "busybox", "sh", "-c", "exit 7"], {
    output: [
      [1, "out\n"],
      [2, "err\n"],
      [1, "more\n"],
    ],
    exitCode: 7,
  });
  expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: "out\nmore\n", stderr: "err\n" });
  const lines = engine.lines();
  const at = (part: string) => lines.findIndex((line) => line.includes(part));
  expect(at("/create")).toBe(0);
  expect(at("/attach")).toBeLessThan(at("/start"));
  expect(at("/wait?condition=next-exit")).toBeLessThan(at("/start"));
  expect(engine.requests[0]?.body).toMatchObject({ Image: "busybox", Cmd: ["sh", "-c", "exit 7"], AttachStdout: true });
});

test("run --rm waits for the removal", async () => {
  const { engine } = await run(["run", "--rm", "busybox"]);
  expect(engine.lines().some((line) => line.includes("/wait?condition=removed"))).toBe(true);
  expect(engine.requests[0]?.body).toMatchObject({ HostConfig: { AutoRemove: true } });
});

test("run -d starts and prints the ID", async () => {
  const { status, stdout, engine } = await run(["run", "-d", "--name", "web", "busybox"]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: "c0ffee\n" });
  expect(engine.lines()).toEqual(["POST /containers/create?name=web", "POST /containers/c0ffee/start"]);
});

test("run -i sends all of stdin, and its end ends the process's input", async () => {
  const text = "x".repeat(300_000);
  const { status, stdout } = await run(["run", "-i", "busybox", "cat"], { echo: true }, { stdin: text });
  expect(status).toBe(0);
  expect(stdout.length).toBe(text.length);
});

test("run -it over a terminal is raw and ends at the detach keys", async () => {
  const { status, stdout, stderr, engine } = await run(
    ["run", "-it", "busybox"],
    { echo: true, tty: true },
    { stdin: "hello\x10\x11never sent", terminal: true },
  );
  expect(status).toBe(0);
  expect(Buffer.concat(engine.input).toString()).toBe("hello");
  expect(stderr).toContain("read escape sequence");
  expect(stdout).not.toContain("never");
  expect(engine.requests[0]?.body).toMatchObject({ Tty: true, OpenStdin: true, StdinOnce: true });
});

test("run -it without a terminal is refused before anything is made", async () => {
  const { status, stderr, engine } = await run(["run", "-it", "busybox"]);
  expect(status).toBe(1);
  expect(stderr).toContain("the input device is not a TTY");
  expect(engine.lines()).toEqual([]);
});

const START_ERRORS: readonly (readonly [message: string, status: number])[] = [
  ['exec: "nope": executable file not found in $PATH: unknown', 127],
  ["exec /nope: no such file or directory", 127],
  ["exec /etc: permission denied", 126],
  ["exec /etc: is a directory", 126],
  ["no space left on device", 125],
];

for (const [message, expected] of START_ERRORS) {
  test(`a start that fails with "${message}" ends with ${expected}`, async () => {
    const { status, stderr } = await run(["run", "--rm", "busybox", "nope"], { startError: { status: 400, message } });
    expect(status).toBe(expected);
    expect(stderr).toContain(`slipway: Error response from daemon: ${message}`);
    expect(stderr).toContain("Run 'slipway run --help' for more information");
  });
}

test("a missing image is pulled, and the create tried again", async () => {
  const { status, stderr, engine } = await run(["run", "busybox"], { missingImage: true });
  expect(status).toBe(0);
  expect(stderr).toContain("Unable to find image 'busybox:latest' locally\n");
  expect(engine.lines().filter((line) => /create/.test(line))).toEqual([
    "POST /containers/create",
    "POST /images/create?fromImage=busybox&tag=latest",
    "POST /containers/create",
  ]);
});

test("with --pull never a missing image ends with 125", async () => {
  const { status, engine } = await run(["run", "--pull", "never", "busybox"], { missingImage: true });
  expect(status).toBe(125);
  expect(engine.lines()).toHaveLength(1);
});

test("signals go to the container", async () => {
  await using engine = await StreamingEngine.start(join(directory, `${sockets++}.sock`), { echo: true });
  const io = new TestIo({ env: { DOCKER_HOST: `unix://${engine.socket}` } });
  const done = runCli(["run", "busybox"], io);
  const started = (part: string) => engine.lines().some((line) => line.includes(part));
  while (!started("/start")) await Bun.sleep(1);
  io.signal("SIGTERM");
  while (!started("/kill")) await Bun.sleep(1);
  expect(engine.lines().at(-1)).toBe("POST /containers/c0ffee/kill?signal=TERM");
  void done;
});

test("the third SIGINT ends us although the container goes on", async () => {
  await using engine = await StreamingEngine.start(join(directory, `${sockets++}.sock`), { echo: true });
  const io = new TestIo({ env: { DOCKER_HOST: `unix://${engine.socket}` } });
  const done = runCli(["run", "busybox"], io);
  while (!engine.lines().some((line) => line.includes("/start"))) await Bun.sleep(1);
  for (let i = 0; i < 3; i++) io.signal("SIGINT");
  expect(await done).toBe(1);
  expect(io.stderr.text).toContain("got 3 SIGTERM/SIGINTs, forcefully exiting");
});

test("--cidfile is written, and an existing one is refused", async () => {
  const path = join(directory, "cid");
  await run(["run", "-d", "--cidfile", path, "busybox"]);
  expect(readFileSync(path, "utf8")).toBe("c0ffee");
  const { status, stderr } = await run(["run", "-d", "--cidfile", path, "busybox"]);
  expect(status).toBe(125);
  expect(stderr).toContain("container ID file found");
});

test("exec shows the output and ends with the command's code", async () => {
  const { status, stdout, stderr, engine } = await run(
    ["exec", "-e", "A=b", "-w", "/x", "-u", "me", "web", "ls", "-l"],
    {
      output: [
        [1, "out"],
        [2, "err"],
      ],
      exitCode: 3,
    },
  );
  expect({ status, stdout, stderr }).toEqual({ status: 3, stdout: "out", stderr: "err" });
  expect(engine.requests[0]?.body).toMatchObject({ Cmd: ["ls", "-l"], Env: ["A=b"], WorkingDir: "/x", User: "me" });
});

test("attach shows what the process says and ends with its code", async () => {
  const { status, stdout } = await run(["attach", "web"], { echo: true, exitCode: 4 }, { stdin: "abc" });
  expect({ status, stdout }).toEqual({ status: 4, stdout: "abc" });
});

test("start -a starts what it has attached to", async () => {
  const { status, stdout } = await run(["start", "-a", "web"], { output: [[1, "again"]], exitCode: 2 });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "again" });
});

const BODIES: readonly (readonly [line: string, body: Record<string, unknown>])[] = [
  [
    "-p 8080:80 x",
    { ExposedPorts: { "80/tcp": {} }, HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] } } },
  ],
  ["-e A=1 -e HOME -e A=2 x", { Env: ["A=2", "HOME"] }],
  ["-v /a:/b -v /c x", { Volumes: { "/c": {} }, HostConfig: { Binds: ["/a:/b"] } }],
  ["--network host x", { HostConfig: { NetworkMode: "host" } }],
  [
    "--network net --network-alias web --ip 10.0.0.2 x",
    { NetworkingConfig: { EndpointsConfig: { net: { Aliases: ["web"], IPAMConfig: { IPv4Address: "10.0.0.2" } } } } },
  ],
  ["-m 64m --cpus 1.5 --pids-limit 10 x", { HostConfig: { Memory: 67108864, NanoCpus: 1500000000, PidsLimit: 10 } }],
  ["--restart on-failure:3 x", { HostConfig: { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } } }],
  ["--health-cmd true --health-interval 3s x", { Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 3e9 } }],
  ["--no-healthcheck x", { Healthcheck: { Test: ["NONE"] } }],
  [
    "--ulimit nofile=1:2 --device /dev/a:r x",
    {
      HostConfig: {
        Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
        Devices: [{ PathOnHost: "/dev/a", PathInContainer: "/dev/a", CgroupPermissions: "r" }],
      },
    },
  ],
  [
    "--entrypoint sh --stop-timeout 0 --stop-signal INT x -c a",
    { Entrypoint: ["sh"], StopSignal: "INT", Cmd: ["-c", "a"] },
  ],
  ["--add-host a=1.2.3.4 --add-host b:::1 x", { HostConfig: { ExtraHosts: ["a:1.2.3.4", "b:::1"] } }],
  [
    "--tmpfs /t:size=1m --sysctl net.b=1 --log-opt max-size=1m x",
    {
      HostConfig: {
        Tmpfs: { "/t": "size=1m" },
        Sysctls: { "net.b": "1" },
        LogConfig: { Config: { "max-size": "1m" } },
      },
    },
  ],
  ["--security-opt systempaths=unconfined x", { HostConfig: { MaskedPaths: [], ReadonlyPaths: [] } }],
  ["-l a=1 -l b x", { Labels: { a: "1", b: "" } }],
];

for (const [line, body] of BODIES) {
  test(`create ${line} asks for the right container`, async () => {
    expect(await bodyOf(line)).toMatchObject(body);
  });
}

test("what nobody asked for is not in the request", async () => {
  expect(await bodyOf("x")).toEqual({ Image: "x", AttachStdout: true, AttachStderr: true });
});

test("environment and label files are read", async () => {
  const file = join(directory, "env");
  writeFileSync(file, "# comment\n\nA=1\n  B=x y\nHOME\nNOPE\n");
  const { engine } = await run(
    ["create", "--env-file", file, "--label-file", file, "-e", "A=2", "x"],
    {},
    { env: { HOME: "/root" } },
  );
  expect(engine.requests[0]?.body).toMatchObject({
    Env: ["A=1", "B=x y", "HOME=/root", "A=2"],
    Labels: { A: "1", B: "x y", HOME: "", NOPE: "" },
  });
});
