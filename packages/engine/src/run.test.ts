import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StdioSession } from "@slipway/runtime";
import { containerOf, type Fixture, mountsBelow, openFixture, realSupervisor } from "./testing/engine-fixture.ts";

let fixture: Fixture;
const scratch = mkdtempSync(join(tmpdir(), "slipway-run-"));
beforeAll(async () => {
  fixture = await openFixture({ supervisor: realSupervisor });
});
afterEach(async () => {
  await clear();
  expect(mountsBelow(fixture.root)).toEqual([]);
  expect(readdirSync(join(fixture.execRoot, "netns"))).toEqual([]);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const noSignal = new AbortController().signal;
type Request = Parameters<typeof containerOf>;

async function clear(): Promise<void> {
  const { containers } = fixture.engine;
  for (const { container } of await containers.list({ all: true, size: false, filters: {} })) {
    await containers.remove(container.id, { force: true, volumes: true });
  }
  await fixture.engine.idle();
}

interface Run {
  readonly id: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function textOf(session: StdioSession): Promise<{ stdout: string; stderr: string }> {
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, data } of session.output) parts[stream].push(data.slice());
  session.detach();
  return { stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

/** Runs to the end, as `docker run` does: joined before the start. */
async function run(...request: Request): Promise<Run> {
  const { containers } = fixture.engine;
  const { id } = await containers.create(containerOf(...request));
  const session = await containers.attach(id, { stdin: true, stdout: true, stderr: true });
  const text = textOf(session);
  session.closeStdin();
  const ended = containers.wait(id, { condition: "next-exit", signal: noSignal, registered: () => {} });
  await containers.start(id);
  return { id, exitCode: (await ended).exitCode, ...(await text) };
}

async function up(...request: Request): Promise<string> {
  const { id } = await fixture.engine.containers.create(containerOf(...request));
  await fixture.engine.containers.start(id);
  return id;
}

const shell = (script: string): string[] => ["sh", "-c", script];

async function logsOf(id: string): Promise<string> {
  const parts: string[] = [];
  const query = { stdout: true, stderr: true, follow: false };
  for await (const record of await fixture.engine.containers.logs(id, query)) {
    parts.push(`${record.stream}: ${Buffer.from(record.data).toString()}`);
  }
  return parts.join("");
}

test("a run gives both streams, the exit code, and the same in its logs", async () => {
  const result = await run(shell("echo out; echo err >&2; exit 3"));
  expect(result).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "err\n" });
  const logs = await logsOf(result.id);
  expect(logs).toContain("stdout: out\n");
  expect(logs).toContain("stderr: err\n");
});

test("a program that is not there is 127, one that cannot be run 126", async () => {
  const { containers } = fixture.engine;
  for (const [path, exitCode] of [
    ["/nonesuch", 127],
    ["/etc/passwd", 126],
  ] as const) {
    const { id } = await containers.create(containerOf([path]));
    await expect(containers.start(id)).rejects.toMatchObject({ details: { exitCode } });
    expect((await containers.inspect(id)).container.state).toMatchObject({ status: "created", exitCode });
  }
});

test("stdin reaches the process, and its end too", async () => {
  const { containers } = fixture.engine;
  const { id } = await containers.create(containerOf(["cat"], {}, { OpenStdin: true, StdinOnce: true }));
  const session = await containers.attach(id, { stdin: true, stdout: true, stderr: true });
  const text = textOf(session);
  await containers.start(id);
  await session.write(Buffer.from("hello\n"));
  session.closeStdin();
  expect(await text).toEqual({ stdout: "hello\n", stderr: "" });
});

test("a terminal has the size that it was given", async () => {
  const { stdout } = await run(shell("stty size"), { ConsoleSize: [31, 97] }, { Tty: true });
  expect(stdout).toBe("31 97\r\n");
});

test("the user, the groups, the directory and the environment are the container's", async () => {
  const script = "id -u; id -g; id -G; pwd; echo $HOME $A";
  const { stdout } = await run(
    shell(script),
    { GroupAdd: ["tty"] },
    { User: "www-data", WorkingDir: "/new/dir", Env: ["A=b"] },
  );
  expect(stdout).toBe("33\n33\n33 5\n/new/dir\n/var/www b\n");
});

test("what a container writes stays with it over a restart, and goes with it", async () => {
  const { containers } = fixture.engine;
  const id = await up(shell("test -e /mark && exit 7; echo > /mark"));
  await containers.wait(id, { condition: "not-running", signal: noSignal, registered: () => {} });
  const again = containers.wait(id, { condition: "next-exit", signal: noSignal, registered: () => {} });
  await containers.start(id);
  expect((await again).exitCode).toBe(7);
  const { upper } = (await containers.inspect(id)).container.layers;
  expect(existsSync(join(upper, "mark"))).toBe(true);
  await containers.remove(id, { force: false, volumes: false });
  await fixture.engine.idle();
  expect(existsSync(upper)).toBe(false);
});

test("binds, volumes and tmpfs are where they were asked for, read-only where they were", async () => {
  writeFileSync(join(scratch, "file"), "host\n");
  const binds = [`${scratch}:/host:ro`, "kept:/var/log", `${scratch}/made/for/it:/made`];
  const script =
    "cat /host/file; touch /host/x || echo refused; echo a > /var/log/a; mount | grep -c ' /t tmpfs\\| on /t '";
  const first = await run(shell(script), { Binds: binds, Tmpfs: { "/t": "size=1m" } });
  expect(first.stdout).toBe("host\nrefused\n1\n");
  expect((await run(["cat", "/var/log/a"], { Binds: ["kept:/var/log"] })).stdout).toBe("a\n");
  await clear();
  await fixture.engine.volumes.remove("kept", false);
});

test("a read-only root refuses writes, and limits are the kernel's", async () => {
  const script =
    "touch /x 2>/dev/null || echo read-only; ulimit -n; cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max";
  const hostConfig = { ReadonlyRootfs: true, PidsLimit: 33, Ulimits: [{ Name: "nofile", Soft: 99, Hard: 99 }] };
  const { stdout } = await run(shell(script), hostConfig);
  expect(stdout).toBe("read-only\n99\n33\n");
});

test("a container without a network has a loopback and nothing else; one on the host's has all of it", async () => {
  const devices = "cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '";
  expect((await run(shell(devices), { NetworkMode: "none" })).stdout).toBe("lo\n");
  expect((await run(shell(devices))).stdout.split("\n").sort()).toEqual(["", "eth0", "lo"]);
  const namespace = ["readlink", "/proc/self/ns/net"];
  const own = Bun.spawnSync(namespace).stdout.toString();
  expect((await run(namespace, { NetworkMode: "host" })).stdout).toBe(own);
});

test("a published port answers on the host's loopback", async () => {
  const ports = { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } };
  const id = await up(shell("mkdir /w; echo hi > /w/index.html; echo ready; exec httpd -f -p 80 -h /w"), ports);
  const session = await fixture.engine.containers.logs(id, { stdout: true, stderr: true, follow: true });
  for await (const _ of session) break;
  const port = (await fixture.engine.containers.inspect(id)).container.ports["80/tcp"]?.[0]?.HostPort;
  const answer = await fetchWhenUp(`http://127.0.0.1:${port}/`);
  expect(answer).toBe("hi\n");
});

/** The server says that it is about to listen, not that it does. */
async function fetchWhenUp(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (attempt === 100) throw error;
      await Bun.sleep(10);
    }
  }
}

test("an exec gives its output and its code, and top sees the processes", async () => {
  const { containers, execs } = fixture.engine;
  const id = await up(["sleep", "1000"]);
  const execId = await execs.create(id, { Cmd: shell("echo in; echo no >&2; exit 9"), AttachStdout: true });
  const session = await execs.start(execId, { detach: false });
  expect(session && (await textOf(session))).toEqual({ stdout: "in\n", stderr: "no\n" });
  expect(await ended(execId)).toMatchObject({ running: false, exitCode: 9 });
  const { titles, processes } = await containers.top(id, "-eo pid,args");
  expect(titles).toEqual(["PID", "COMMAND"]);
  expect(processes.map((each) => each[1])).toEqual(["sleep 1000"]);
  const missing = await execs.create(id, { Cmd: ["/nonesuch"] });
  await expect(execs.start(missing, { detach: true })).rejects.toMatchObject({ details: { exitCode: 127 } });
});

test("execs into a container that is just ending do not keep it from ending", async () => {
  const { containers, execs } = fixture.engine;
  for (let round = 0; round < 5; round++) {
    const id = await up(["sleep", "1000"], { NetworkMode: "none" });
    const ids = await Promise.all([1, 2, 3].map(() => execs.create(id, { Cmd: ["true"] })));
    const runs = ids.map((execId) => execs.start(execId, { detach: true }).catch(() => {}));
    // Somewhere in the middle of the runtime's way into the container.
    await Bun.sleep(round * 4);
    await containers.remove(id, { force: true, volumes: true });
    await Promise.all(runs);
  }
});

/** The output may end a moment before the exit is known. */
async function ended(execId: string) {
  const { execs, events } = fixture.engine;
  const stop = new AbortController();
  for await (const event of events.read({ since: 0n, filters: { event: ["exec_die"] }, signal: stop.signal })) {
    if (event.attributes.execID === execId) break;
  }
  return execs.inspect(execId);
}

test("stop lets the process end itself, and kill does not", async () => {
  const { containers } = fixture.engine;
  const id = await up(shell("trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"));
  for await (const _ of await containers.logs(id, { stdout: true, stderr: true, follow: true })) break;
  await containers.stop(id, { timeout: 10 });
  expect((await containers.inspect(id)).container.state.exitCode).toBe(5);
  await containers.start(id);
  await containers.kill(id, "KILL");
  expect((await containers.inspect(id)).container.state.exitCode).toBe(137);
});

test("a container that exceeds its memory is killed and says so", async () => {
  const script = "x=$(head -c 64m /dev/zero | tr '\\0' 'a'); echo not reached";
  const { id, exitCode } = await run(shell(script), { Memory: 8 * 1024 * 1024, MemorySwap: 8 * 1024 * 1024 });
  expect(exitCode).toBe(137);
  expect((await fixture.engine.containers.inspect(id)).container.state.oomKilled).toBe(true);
});

test("health is looked after: healthy, then not", async () => {
  const check = { Test: ["CMD-SHELL", "test -e /well && echo fine"], Interval: 50e6, Retries: 2, Timeout: 5e9 };
  const id = await up(shell("touch /well; sleep 1000"), {}, { Healthcheck: check });
  const reached = async (status: string): Promise<void> => {
    const stop = new AbortController();
    const events = fixture.engine.events.read({ since: 0n, filters: { container: [id] }, signal: stop.signal });
    for await (const event of events) if (event.action === `health_status: ${status}`) return;
  };
  await reached("healthy");
  const { container, status } = await fixture.engine.containers.inspect(id);
  expect(status).toEndWith("(healthy)");
  expect(container.state.health?.log.at(-1)).toMatchObject({ exitCode: 0, output: "fine\n" });
  const execId = await fixture.engine.execs.create(id, { Cmd: ["rm", "/well"] });
  await fixture.engine.execs.start(execId, { detach: true });
  await reached("unhealthy");
});

test("a container outlives its engine, with every line of its output", async () => {
  const id = await up(shell("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.05; done; sleep 1000"));
  fixture = await fixture.reopen();
  const { containers } = fixture.engine;
  expect((await containers.inspect(id)).container.state.status).toBe("running");
  const lines: string[] = [];
  for await (const { data } of await containers.logs(id, { stdout: true, stderr: true, follow: true })) {
    lines.push(Buffer.from(data).toString().trim());
    if (lines.length === 8) break;
  }
  expect(lines).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
  expect(readFileSync(`/proc/${(await containers.inspect(id)).container.state.pid}/comm`, "utf8")).toBe("sh\n");
});
