import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode, type SlipwayError } from "@slipway/base";
import { kill } from "@slipway/sys";
import type { ExecRequest, LogRecord, StartRequest } from "./faces.ts";
import { readLogs } from "./index.ts";
import { collect, Trial } from "./trial.fixture.ts";

const trial = new Trial();
afterAll(() => trial[Symbol.asyncDispose]());

const encoder = new TextEncoder();

function execOf(container: StartRequest, execId: string, args: string[], over: Partial<ExecRequest> = {}): ExecRequest {
  return {
    containerId: container.id,
    execId,
    args,
    env: ["PATH=/bin"],
    cwd: "/",
    user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
    terminal: false,
    openStdin: false,
    privileged: false,
    ...over,
  };
}

async function running(args = ["sleep", "1000"], over = {}, start: Partial<StartRequest> = {}): Promise<StartRequest> {
  const request = trial.bundle(args, over, start);
  await trial.client.start(request);
  return request;
}

async function failureOf(promise: Promise<unknown>): Promise<SlipwayError> {
  try {
    await promise;
  } catch (error) {
    return error as SlipwayError;
  }
  throw new Error("it did not fail");
}

async function logText(id: string): Promise<string> {
  const parts: string[] = [];
  const source = { id, directory: trial.logs, driver: "json-file" } as const;
  const records: AsyncIterable<LogRecord> = readLogs(source, { stdout: true, stderr: true, follow: false });
  for await (const record of records) parts.push(Buffer.from(record.data).toString());
  return parts.join("");
}

/** The process that serves the socket. */
function supervisorPid(): number {
  for (const name of readdirSync("/proc")) {
    try {
      const environment = readFileSync(`/proc/${name}/environ`, "latin1");
      const command = readFileSync(`/proc/${name}/cmdline`, "latin1");
      if (environment.includes("SLIPWAY_KEEPER=") && command.includes(trial.execRoot)) return Number(name);
    } catch {
      // Not a process, or one that has just ended.
    }
  }
  throw new Error("no supervisor runs");
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(5);
}

describe("a container's life", () => {
  test("output and exit code arrive", async () => {
    const result = await trial.run(["sh", "-c", "echo out; echo err >&2; exit 7"]);
    expect(result).toMatchObject({ stdout: "out\n", stderr: "err\n", exitCode: 7 });
  });

  test("a signal that ends it is 128 and its number", async () => {
    const container = await running();
    await trial.client.signal(container.id, 9);
    expect(await trial.exitOf(container.id)).toMatchObject({ exitCode: 137, oomKilled: false });
    await trial.client.delete(container.id);
  });

  test("a program that handles a signal decides itself", async () => {
    const container = await running(["sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"]);
    await until(() => trial.log(container.id).includes("ready"));
    await trial.client.signal(container.id, 15);
    expect((await trial.exitOf(container.id)).exitCode).toBe(3);
    await trial.client.delete(container.id);
  });

  test("a program that does not exist is 127, in Docker's words", async () => {
    const error = await failureOf(trial.run(["foo"]));
    expect(error.message).toMatch(
      /^OCI runtime create failed: runc create failed: unable to start container process: exec: "foo": executable file not found in \$PATH: unknown$/,
    );
    expect(error.details).toMatchObject({ exitCode: 127 });
  });

  test("a program that cannot be executed is 126", async () => {
    for (const program of ["/etc/passwd", "/etc"]) {
      const error = await failureOf(trial.run([program]));
      expect(error.message).toStartWith("OCI runtime create failed: ");
      expect(error.details).toMatchObject({ exitCode: 126 });
    }
  });

  test("a failed start leaves nothing, and what waits at it ends", async () => {
    const request = trial.bundle(["foo"]);
    const session = await trial.client.attach(request.id, { stdin: false });
    const output = collect(session);
    await failureOf(trial.client.start(request));
    expect(await output).toEqual({ stdout: "", stderr: "" });
    expect(existsSync(join(request.bundle, "io"))).toBe(false);
    expect((await trial.client.state()).running.map((each) => each.id)).not.toContain(request.id);
  });

  test("memory that runs out is told apart from other kills", async () => {
    const hog = ["sh", "-c", "x=a; while :; do x=$x$x$x$x; done"];
    const result = await trial.run(hog, { resources: { memory: 16 * 1024 * 1024 } });
    expect(result.exit).toMatchObject({ exitCode: 137, oomKilled: true });
  });

  test("pausing stops it and resuming goes on", async () => {
    const container = await running(["sh", "-c", "while :; do echo x; sleep 0.01; done"]);
    await trial.client.pause(container.id);
    const before = trial.log(container.id).length;
    await Bun.sleep(60);
    // What was in the pipe when it froze may still come.
    const frozen = trial.log(container.id).length;
    await Bun.sleep(60);
    expect(trial.log(container.id).length).toBe(frozen);
    expect(frozen - before).toBeLessThan(300);
    await trial.client.resume(container.id);
    await until(() => trial.log(container.id).length > frozen);
    await trial.client.delete(container.id);
  });

  test("a pause waits for an exec that is being started, and what is paused starts none", async () => {
    const container = await running();
    const exec = trial.client.exec(execOf(container, "before", ["sleep", "1000"]));
    const paused = trial.client.pause(container.id);
    const late = failureOf(trial.client.exec(execOf(container, "late", ["true"])));
    expect((await exec).pid).toBeGreaterThan(1);
    await paused;
    expect(await late).toMatchObject({ code: "conflict", message: expect.stringContaining("is paused") });
    // Said again, as after a crash, it is no mistake.
    await trial.client.pause(container.id);
    await trial.client.resume(container.id);
    await trial.client.resume(container.id);
    await trial.client.delete(container.id);
  });

  test("deleting ends what runs and leaves no cgroup and no state", async () => {
    const container = await running();
    await trial.client.delete(container.id);
    expect((await trial.exitOf(container.id)).exitCode).toBe(137);
    expect(existsSync(`/sys/fs/cgroup/memory/slipway-trial/${container.id}`)).toBe(false);
    expect(readdirSync(join(trial.execRoot, "supervisor/runtime"))).not.toContain(container.id);
    await trial.client.delete(container.id);
  });

  test("sixteen at once all end as they should", async () => {
    const results = await Promise.all(
      Array.from({ length: 16 }, (_, i) => trial.run(["sh", "-c", `echo ${i}; exit ${i}`])),
    );
    for (const [i, result] of results.entries()) expect(result).toMatchObject({ stdout: `${i}\n`, exitCode: i });
  });
});

describe("stdio", () => {
  test("stdin reaches the process and its end too", async () => {
    const request = trial.bundle(["cat"], {}, { openStdin: true, stdinOnce: true });
    const session = await trial.client.attach(request.id, { stdin: true });
    const output = collect(session);
    await trial.client.start(request);
    await session.write(encoder.encode("hello\n"));
    session.closeStdin();
    expect(await output).toEqual({ stdout: "hello\n", stderr: "" });
    expect((await trial.exitOf(request.id)).exitCode).toBe(0);
    await trial.client.delete(request.id);
  });

  test("stdin that was written and ended before the start is not lost", async () => {
    const request = trial.bundle(["cat"], {}, { openStdin: true, stdinOnce: true });
    const session = await trial.client.attach(request.id, { stdin: true });
    const output = collect(session);
    await session.write(encoder.encode("early\n"));
    session.closeStdin();
    await trial.client.start(request);
    expect((await output).stdout).toBe("early\n");
    await trial.client.delete(request.id);
  });

  test("10 MB of stdin come back whole", async () => {
    const request = trial.bundle(["cat"], {}, { openStdin: true, stdinOnce: true, log: NO_LOG });
    const session = await trial.client.attach(request.id, { stdin: true });
    await trial.client.start(request);
    const data = new Uint8Array(10_000_000).map((_, i) => i * 7);
    const hash = hashOf(session);
    await session.write(data);
    session.closeStdin();
    expect(await hash).toEqual({ bytes: data.length, hash: Bun.hash(data) });
    await trial.client.delete(request.id);
  });

  test("without stdinOnce a client's end is not the container's", async () => {
    const request = trial.bundle(["cat"], {}, { openStdin: true });
    await trial.client.start(request);
    const first = await trial.client.attach(request.id, { stdin: true });
    await first.write(encoder.encode("one\n"));
    first.closeStdin();
    first.detach();
    const second = await trial.client.attach(request.id, { stdin: true });
    await second.write(encoder.encode("two\n"));
    await until(() => trial.log(request.id).includes("two"));
    await trial.client.delete(request.id);
  });

  test("50 MB of output arrive whole at a client, and the log has them too", async () => {
    const log = { driver: "json-file", maxSize: 100_000_000, maxFiles: 2 } as const;
    const request = trial.bundle(["sh", "-c", "yes 0123456789abcdef0123456789abcdef | head -c 50000000"], {}, { log });
    const session = await trial.client.attach(request.id, { stdin: false });
    const start = performance.now();
    await trial.client.start(request);
    expect((await hashOf(session)).bytes).toBe(50_000_000);
    console.log(`50 MB with a log: ${(performance.now() - start).toFixed(0)} ms`);
    expect((await logText(request.id)).length).toBe(50_000_000);
    await trial.client.delete(request.id);
  });

  test("a client that does not read holds the output back and loses none", async () => {
    const request = trial.bundle(["sh", "-c", "head -c 5000000 /dev/zero; echo done >&2"], {}, { log: NO_LOG });
    const session = await trial.client.attach(request.id, { stdin: false });
    await trial.client.start(request);
    await Bun.sleep(200);
    expect((await trial.client.state()).running.map((each) => each.id)).toContain(request.id);
    expect((await hashOf(session)).bytes).toBe(5_000_005);
    expect((await trial.exitOf(request.id)).exitCode).toBe(0);
    await trial.client.delete(request.id);
  });

  test("a client that goes away frees the output again", async () => {
    const request = trial.bundle(["sh", "-c", "head -c 5000000 /dev/zero"], {}, { log: NO_LOG });
    const session = await trial.client.attach(request.id, { stdin: false });
    await trial.client.start(request);
    await Bun.sleep(50);
    session.detach();
    expect((await trial.exitOf(request.id)).exitCode).toBe(0);
    await trial.client.delete(request.id);
  });

  test("several clients see the same", async () => {
    const request = trial.bundle(["sh", "-c", "for i in 1 2 3; do echo $i; done"]);
    const sessions = await Promise.all([1, 2, 3].map(() => trial.client.attach(request.id, { stdin: false })));
    const outputs = sessions.map(collect);
    await trial.client.start(request);
    for (const output of outputs) expect((await output).stdout).toBe("1\n2\n3\n");
    await trial.client.delete(request.id);
  });

  test("a program may open /dev/stdout, also as another user", async () => {
    const result = await trial.run(["sh", "-c", "echo a > /dev/stdout; echo b > /dev/stderr"], {
      user: { uid: 1000, gid: 1000, additionalGids: [], home: "/tmp" },
    });
    expect(result).toMatchObject({ stdout: "a\n", stderr: "b\n", exitCode: 0 });
  });

  test("a pipe that the program closes is no failure, and SIGPIPE works inside", async () => {
    const result = await trial.run(["sh", "-c", "yes | head -n 1; echo $?"]);
    expect(result.stdout).toBe("y\n0\n");
  });
});

describe("terminals", () => {
  test("the size is there from the start and changes", async () => {
    const request = trial.bundle(
      ["sh", "-c", "trap 'stty size' WINCH; stty size; read x; read x"],
      {},
      { terminal: true, openStdin: true, consoleSize: { rows: 33, columns: 101 } },
    );
    const session = await trial.client.attach(request.id, { stdin: true });
    const output = collect(session);
    await trial.client.start(request);
    await until(() => trial.log(request.id).includes("33 101"));
    await trial.client.resize(request.id, { rows: 50, columns: 120 });
    await session.write(encoder.encode("\n"));
    await until(() => trial.log(request.id).includes("50 120"));
    await session.write(encoder.encode("\n\n"));
    expect((await output).stdout).toContain("50 120\r\n");
    await trial.client.delete(request.id);
  });

  test("typed text is echoed and Ctrl-C interrupts", async () => {
    const request = trial.bundle(["sh", "-c", "trap 'exit 130' INT; cat"], {}, { terminal: true, openStdin: true });
    const session = await trial.client.attach(request.id, { stdin: true });
    const output = collect(session);
    await trial.client.start(request);
    await session.write(encoder.encode("hi\n"));
    await until(() => trial.log(request.id).split("hi").length > 2);
    await session.write(Uint8Array.of(3));
    expect((await trial.exitOf(request.id)).exitCode).toBe(130);
    expect((await output).stdout).toBe("hi\r\nhi\r\n^C");
    await trial.client.delete(request.id);
  });
});

describe("execs", () => {
  test("one has output, exit code and stdin of its own", async () => {
    const container = await running();
    const session = await trial.client.attach(container.id, { execId: "a", stdin: true });
    const output = collect(session);
    await trial.client.exec(execOf(container, "a", ["sh", "-c", "cat; echo err >&2; exit 5"], { openStdin: true }));
    await session.write(encoder.encode("in\n"));
    session.closeStdin();
    expect(await output).toEqual({ stdout: "in\n", stderr: "err\n" });
    expect(await trial.exitOf(container.id, "a")).toMatchObject({ exitCode: 5 });
    await trial.client.delete(container.id);
  });

  test("one has a terminal with a size", async () => {
    const container = await running();
    const session = await trial.client.attach(container.id, { execId: "t", stdin: true });
    const output = collect(session);
    const size = { rows: 11, columns: 22 };
    await trial.client.exec(execOf(container, "t", ["stty", "size"], { terminal: true, consoleSize: size }));
    expect((await output).stdout).toBe("11 22\r\n");
    await trial.client.delete(container.id);
  });

  test("one that cannot start says why", async () => {
    const container = await running();
    const error = await failureOf(trial.client.exec(execOf(container, "n", ["foo"])));
    expect(error.message).toContain('exec: "foo": executable file not found in $PATH: unknown');
    expect(error.message).toStartWith("OCI runtime exec failed: exec failed: ");
    expect(error.details).toMatchObject({ exitCode: 127 });
    await trial.client.delete(container.id);
  });

  test("one is signalled alone", async () => {
    const container = await running();
    await trial.client.exec(execOf(container, "s", ["sleep", "1000"]));
    await trial.client.signal(container.id, 9, { execId: "s" });
    expect((await trial.exitOf(container.id, "s")).exitCode).toBe(137);
    expect((await trial.client.state()).running.map((each) => each.id)).toContain(container.id);
    await trial.client.delete(container.id);
  });

  test("they end with the container", async () => {
    const container = await running();
    await trial.client.exec(execOf(container, "e", ["sleep", "1000"]));
    await trial.client.delete(container.id);
    expect((await trial.exitOf(container.id, "e")).exitCode).toBe(137);
  });

  test("a container that does not run is a conflict", async () => {
    const error = await failureOf(trial.client.exec(execOf({ id: "nobody" } as StartRequest, "x", ["true"])));
    expect(errorCode(error)).toBe("conflict");
  });
});

describe("crashes", () => {
  test("a killed supervisor is replaced, and no output is lost or doubled", async () => {
    const loop = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; sleep 0.3; echo end; exit 42";
    const container = await running(["sh", "-c", loop]);
    for (let round = 0; round < 3; round++) {
      await Bun.sleep(10);
      kill(supervisorPid(), "KILL");
      await trial.client.prepare();
    }
    expect(await trial.exitOf(container.id)).toMatchObject({ exitCode: 42 });
    const lines = (await logText(container.id)).trimEnd().split("\n");
    const expected = [...Array.from({ length: 3000 }, (_, i) => `line ${i}`), "end"];
    expect(new Set(lines)).toEqual(new Set(expected));
    expect(lines.length - expected.length).toBeLessThan(10);
    await trial.client.delete(container.id);
  });

  test("an exit without a supervisor keeps its code, its last words and an unfinished line", async () => {
    const container = await running(["sh", "-c", "printf 'unfinished '; sleep 0.2; printf 'line'; exit 9"]);
    await until(() => existsSync(join(container.bundle, "io/partial.stdout")));
    await trial.client.close();
    kill(supervisorPid(), "KILL");
    await Bun.sleep(400);
    trial.client = trial.connect();
    const exit = await trial.exitOf(container.id);
    expect(exit).toMatchObject({ exitCode: 9 });
    expect(exit).not.toHaveProperty("exitCodeUnknown");
    expect(await logText(container.id)).toBe("unfinished line");
    await trial.client.delete(container.id);
  });

  test("a terminal and an open stdin survive the supervisor", async () => {
    const terminal = await running(["cat"], {}, { terminal: true, openStdin: true });
    const pipe = await running(["cat"], {}, { openStdin: true, stdinOnce: true });
    kill(supervisorPid(), "KILL");
    await trial.client.prepare();
    const typed = await trial.client.attach(terminal.id, { stdin: true });
    await typed.write(encoder.encode("still here\n"));
    await until(() => trial.log(terminal.id).split("still here").length > 2);
    const piped = await trial.client.attach(pipe.id, { stdin: true });
    const output = collect(piped);
    await piped.write(encoder.encode("me too\n"));
    piped.closeStdin();
    expect((await output).stdout).toBe("me too\n");
    expect((await trial.exitOf(pipe.id)).exitCode).toBe(0);
    await trial.client.delete(terminal.id);
    await trial.client.delete(pipe.id);
  });

  test("a container ends although the supervisor of one of its execs was killed, and others keep their exit codes", async () => {
    const container = await running(["sh", "-c", "trap 'exit 6' TERM; while :; do sleep 0.05; done"]);
    const other = await running(["sh", "-c", "trap 'exit 8' TERM; while :; do sleep 0.05; done"]);
    await trial.client.exec(execOf(container, "left", ["sleep", "1000"]));
    kill(supervisorPid(), "KILL");
    await trial.client.prepare();
    await trial.client.signal(container.id, 15);
    expect(await trial.exitOf(container.id)).toMatchObject({ exitCode: 6 });
    await trial.client.signal(other.id, 15);
    const exit = await trial.exitOf(other.id);
    // The kernel remembers it from 6.15 on.
    expect(exit.exitCode).toBe(exit.exitCodeUnknown ? 255 : 8);
    await trial.client.delete(container.id);
    await trial.client.delete(other.id);
  });

  test("an exit that no daemon saw is told to the next one, once", async () => {
    const container = await running(["sh", "-c", "sleep 0.1; exit 4"]);
    await trial.client.close();
    await Bun.sleep(300);
    trial.client = trial.connect();
    expect((await trial.exitOf(container.id)).exitCode).toBe(4);
    await until(() => existsSync(join(container.bundle, "io/acknowledged")));
    expect((await trial.client.state()).exits).toEqual([]);
    await trial.client.delete(container.id);
  });

  test("a supervisor without work and without a daemon ends, and its keeper too", async () => {
    const pid = supervisorPid();
    await trial.client.close();
    await until(() => !existsSync(`/proc/${pid}`));
    expect(readdirSync(join(trial.execRoot, "supervisor/keepers"))).toEqual([]);
    trial.client = trial.connect();
    expect((await trial.run(["echo", "again"])).stdout).toBe("again\n");
  });
});

const NO_LOG = { driver: "none", maxSize: 0, maxFiles: 1 } as const;

async function hashOf(session: {
  output: AsyncIterable<{ data: Uint8Array }>;
}): Promise<{ bytes: number; hash: number | bigint }> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of session.output) chunks.push(data);
  const all = Buffer.concat(chunks);
  return { bytes: all.length, hash: Bun.hash(all) };
}
