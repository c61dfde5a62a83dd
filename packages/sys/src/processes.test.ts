import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bootId,
  createNetworkNamespace,
  decodeStatus,
  kill,
  mounts,
  openConsoleSocket,
  openPty,
  processStartTime,
  removeNetworkNamespace,
  sendDescriptor,
  setOutputProcessing,
  setSubreaper,
  setWindowSize,
  signalName,
  signalNumber,
  waitPid,
  windowSize,
  withNetworkNamespace,
} from "./index.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "slipway-proc-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("signals", () => {
  test("have names and numbers in all of Docker's spellings", () => {
    for (const text of ["SIGTERM", "TERM", "term", "15", " sigterm "]) expect(signalNumber(text)).toBe(15);
    expect(signalNumber("RTMIN+3")).toBe(37);
    expect(signalNumber("SIGRTMAX-1")).toBe(63);
    for (let number = 1; number <= 64; number++) {
      if (number !== 32 && number !== 33) expect(signalNumber(signalName(number))).toBe(number);
    }
    for (const text of ["", "NOPE", "0", "65", "RTMAX+1", "-1"])
      expect(() => signalNumber(text)).toThrow("invalid signal");
  });
});

describe("processes", () => {
  test("a subreaper inherits orphans and collects their exit", async () => {
    setSubreaper();
    const shell = Bun.spawn(["sh", "-c", "sh -c 'sleep 0.05; exit 7' >/dev/null 2>&1 & echo $!"], { stdout: "pipe" });
    const orphan = Number(await new Response(shell.stdout).text());
    await shell.exited;
    expect(waitPid(orphan)).toBeUndefined();
    expect(waitPid(orphan, false)).toMatchObject({ pid: orphan, exitCode: 7 });
    expect(() => waitPid(orphan)).toThrow("ECHILD");
    setSubreaper(false);
  });

  test("status words are decoded", () => {
    expect(decodeStatus(1, 0x0300)).toEqual({ pid: 1, exitCode: 3, coreDumped: false });
    expect(decodeStatus(1, 9)).toEqual({ pid: 1, exitCode: 137, signal: 9, coreDumped: false });
    expect(decodeStatus(1, 0x8b)).toEqual({ pid: 1, exitCode: 139, signal: 11, coreDumped: true });
  });

  test("signals reach a process, and its absence is told", async () => {
    const child = Bun.spawn(["sleep", "60"]);
    expect(kill(child.pid, 0)).toBe(true);
    expect(processStartTime(child.pid)).toBeGreaterThan(0);
    expect(kill(child.pid, "TERM")).toBe(true);
    await child.exited;
    expect(child.signalCode).toBe("SIGTERM");
    expect(kill(child.pid, 0)).toBe(false);
    expect(processStartTime(child.pid)).toBeUndefined();
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("terminals", () => {
  test("a pty master comes through the console socket and carries text and sizes", async () => {
    const socket = openConsoleSocket(join(dir, "console.sock"));
    expect(socket.tryReceive()).toBeUndefined();
    const pty = openPty();
    sendDescriptor(socket.path, pty.master, "/dev/ptmx");
    closeSync(pty.master);
    const master = await socket.receive();
    socket.close();
    expect(existsSync(socket.path)).toBe(false);
    setWindowSize(master, 40, 120);
    const slave = openSync(pty.path, "r+");
    expect(windowSize(slave)).toEqual({ rows: 40, columns: 120 });
    writeSync(slave, "hello");
    const bytes = new Uint8Array(16);
    expect(readSync(master, bytes)).toBe(5);
    closeSync(slave);
    closeSync(master);
  });

  test("output comes through as it was written when processing is off", () => {
    const { master, path } = openPty();
    const slave = openSync(path, "r+");
    const bytes = new Uint8Array(16);
    const through = (text: string) => {
      writeSync(slave, text);
      return Buffer.from(bytes.subarray(0, readSync(master, bytes))).toString();
    };
    expect(through("a\n")).toBe("a\r\n");
    setOutputProcessing(slave, false);
    expect(through("a\n")).toBe("a\n");
    setOutputProcessing(slave, true);
    expect(through("a\n")).toBe("a\r\n");
    closeSync(slave);
    closeSync(master);
  });

  test("a runtime that hangs up without a terminal is told", async () => {
    using socket = openConsoleSocket(join(dir, "console.sock"));
    const client = await Bun.connect({ unix: socket.path, socket: { data() {} } });
    client.end();
    await expect(socket.receive(AbortSignal.timeout(5000))).rejects.toThrow("without a terminal");
    expect(() => openConsoleSocket(`/tmp/${"x".repeat(120)}`)).toThrow("longer than 107");
  });
});

describe("network namespaces", () => {
  test("live as files with lo up, and end", () => {
    const home = readlinkSync("/proc/thread-self/ns/net");
    const path = join(dir, "ns");
    createNetworkNamespace(path);
    expect(readlinkSync("/proc/thread-self/ns/net")).toBe(home);
    const [inside, flags] = withNetworkNamespace(path, () => [
      readlinkSync("/proc/thread-self/ns/net"),
      readFileSync("/proc/thread-self/net/dev", "utf8"),
    ]);
    expect(inside).toBe(`net:[${statSync(path).ino}]`);
    expect(inside).not.toBe(home);
    expect(
      flags
        .split("\n")
        .filter((line) => line.includes(":"))
        .some((line) => line.trim().startsWith("lo:")),
    ).toBe(true);
    const shown = Bun.spawnSync(["nsenter", `--net=${path}`, "ip", "-o", "addr"]).stdout.toString();
    expect(shown).toContain("127.0.0.1/8");
    expect(() => createNetworkNamespace(path)).toThrow("EEXIST");
    removeNetworkNamespace(path);
    removeNetworkNamespace(path);
    expect(mounts().some((each) => each.target === path)).toBe(false);
    expect(existsSync(path)).toBe(false);
  });
});
