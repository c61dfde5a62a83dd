import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDetachedDaemon } from "./detached.ts";

const ENTRY = join(import.meta.dir, "testing/run-daemon.ts");
const COMMAND = [process.execPath, ENTRY];

let directory: string;
let running: { readonly pid: number; exited(): Promise<unknown> }[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "slipway-daemon-"));
  running = [];
});

afterEach(async () => {
  for (const { pid, exited } of running) {
    if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGTERM");
    await exited();
  }
  rmSync(directory, { recursive: true });
});

function places(name = "one") {
  return {
    hosts: [`unix://${directory}/${name}.sock`],
    dataRoot: `${directory}/${name}`,
    execRoot: `${directory}/${name}-run`,
    pidfile: `${directory}/${name}.pid`,
  };
}

function words(flags: Partial<ReturnType<typeof places>> & { readonly configFile?: string }): string[] {
  const given = [
    ...(flags.hosts ?? []).map((host) => `--host=${host}`),
    flags.dataRoot && `--data-root=${flags.dataRoot}`,
    flags.execRoot && `--exec-root=${flags.execRoot}`,
    flags.pidfile && `--pidfile=${flags.pidfile}`,
    flags.configFile && `--config-file=${flags.configFile}`,
  ];
  return given.filter((word) => word !== undefined && word !== "") as string[];
}

async function ping(socket: string): Promise<boolean> {
  try {
    return (await fetch("http://d/_ping", { unix: socket })).ok;
  } catch {
    return false;
  }
}

function spawn(flags: Parameters<typeof words>[0]) {
  const child = Bun.spawn([...COMMAND, "daemon", ...words(flags)], { stdio: ["ignore", "pipe", "pipe"] });
  running.push({ pid: child.pid, exited: () => child.exited });
  return child;
}

async function started(flags: ReturnType<typeof places> & { readonly configFile?: string }) {
  const child = spawn(flags);
  const socket = flags.hosts[0]?.slice("unix://".length) ?? "";
  while (!(await ping(socket))) {
    if (child.exitCode !== null) throw new Error(await new Response(child.stderr).text());
    await Bun.sleep(5);
  }
  return { child, socket };
}

test("it answers, owns its socket and pid file, and takes both away at the end", async () => {
  const flags = places();
  const { child, socket } = await started(flags);
  expect(statSync(socket).mode & 0o777).toBe(0o660);
  expect(readFileSync(flags.pidfile, "utf8")).toBe(`${child.pid}\n`);
  const info = (await (await fetch("http://d/info", { unix: socket })).json()) as { DockerRootDir: string };
  expect(info.DockerRootDir).toBe(flags.dataRoot);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(existsSync(socket)).toBe(false);
  expect(existsSync(flags.pidfile)).toBe(false);
  expect(await new Response(child.stderr).text()).toContain("shutting down");
});

test("a client that follows events does not hold the end up", async () => {
  const { child, socket } = await started(places());
  const events = await fetch("http://d/events", { unix: socket });
  const reading = events.text().catch(() => "");
  const began = performance.now();
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  expect(performance.now() - began).toBeLessThan(900);
  await reading;
});

test("two engines run side by side; a second one on the same places names the first", async () => {
  const flags = places("one");
  const first = await started(flags);
  const second = await started(places("two"));
  expect(await ping(first.socket)).toBe(true);
  expect(await ping(second.socket)).toBe(true);
  const other = places("three");
  for (const clash of [
    { ...other, dataRoot: flags.dataRoot },
    { ...other, execRoot: flags.execRoot },
    { ...other, pidfile: flags.pidfile },
  ]) {
    const child = spawn(clash);
    expect(await child.exited).toBe(1);
    expect(await new Response(child.stderr).text()).toContain(String(first.child.pid));
  }
  const child = spawn({ ...other, hosts: flags.hosts });
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toContain("another program listens");
  expect(await ping(first.socket)).toBe(true);
});

test("a daemon that was killed is succeeded by the next on the same places", async () => {
  const flags = places();
  const { child } = await started(flags);
  child.kill("SIGKILL");
  await child.exited;
  const next = await started(flags);
  expect(await ping(next.socket)).toBe(true);
  expect(readFileSync(flags.pidfile, "utf8")).toBe(`${next.child.pid}\n`);
});

test("SIGHUP reads the log level again, and a broken file changes nothing", async () => {
  const configFile = join(directory, "daemon.json");
  writeFileSync(configFile, "{}");
  const { child } = await started({ ...places(), configFile });
  const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  const until = async (text: string) => {
    while (!seen.includes(text)) seen += (await lines.read()).value ?? "";
  };
  writeFileSync(configFile, '{"debug": true}');
  child.kill("SIGHUP");
  await until("logLevel=debug");
  writeFileSync(configFile, "{");
  child.kill("SIGHUP");
  await until("the configuration was not reloaded");
});

test("in the background it outlives who started it, and writes its log to the data root", async () => {
  const flags = places();
  const { socket, pid } = await startDetachedDaemon(flags, COMMAND);
  running.push({
    pid,
    async exited() {
      while (existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "))
        await Bun.sleep(5);
    },
  });
  expect(await ping(socket)).toBe(true);
  expect(readFileSync(join(flags.dataRoot, "daemon.log"), "utf8")).toContain("ready");
  // A session of its own: its ID is the process's.
  expect(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[3]).toBe(String(pid));
});

test("in the background a daemon that cannot start says why", async () => {
  const flags = { ...places(), hosts: [`unix://${directory}/absent/s.sock`] };
  await expect(startDetachedDaemon(flags, COMMAND)).rejects.toThrow(/the daemon did not start:[\s\S]*cannot listen on/);
});
