import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Subprocess } from "bun";
import { type Command, runCommand } from "./measure.ts";

/** One engine under test with a client of its own: the same words run against both. */
export interface Engine extends AsyncDisposable {
  readonly name: string;
  /** A client call: `command("run", "--rm", ...)`. */
  command(...argv: string[]): Command;
  /** A request without any client, version-less; throws what the engine answers when it refuses. */
  request(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Proportional set size of all processes that belong to the engine, in MiB. */
  memory(): number;
}

const SLIPWAY = resolve(import.meta.dir, "../dist/slipway");
const DOCKERD = "/usr/sbin/dockerd";
/** Debian's own client, which speaks BuildKit without a plug-in. */
const DOCKER = "/usr/bin/docker";

/** The flags that both daemons understand: everything of an engine below one directory. */
export function daemonFlags(root: string, socket: string): string[] {
  const paths = { "--data-root": "data", "--exec-root": "exec", "--pidfile": "pid" };
  return ["-H", `unix://${socket}`, ...Object.entries(paths).flatMap(([flag, name]) => [flag, join(root, name)])];
}

/** `client`: another client than the engine's own, for comparing the engines alone. */
export async function startSlipway(directory: string, client = SLIPWAY): Promise<Engine> {
  const root = join(directory, "slipway");
  mkdirSync(root, { recursive: true });
  const socket = join(root, "slipway.sock");
  const daemon = Bun.spawn([SLIPWAY, "daemon", ...daemonFlags(root, socket)], {
    stdout: Bun.file(join(root, "log")),
    stderr: Bun.file(join(root, "log")),
  });
  // Its keeper of descriptors is a plain `sleep` without a name of ours: a page or two, which are not counted.
  const engine = engineOf("slipway", client, socket, daemon, (command) => command.includes(root));
  await answering(engine);
  return engine;
}

export async function startDocker(directory: string, client = DOCKER): Promise<Engine> {
  if (!existsSync(DOCKERD))
    throw new Error("Debian's Docker is missing: apt-get install docker.io, or run with --only slipway");
  const root = join(directory, "docker");
  mkdirSync(root, { recursive: true });
  const socket = join(root, "docker.sock");
  const daemon = Bun.spawn([DOCKERD, ...daemonFlags(root, socket)], {
    stdout: Bun.file(join(root, "log")),
    stderr: Bun.file(join(root, "log")),
  });
  const engine = engineOf("docker", client, socket, daemon, (command) =>
    /dockerd|containerd|docker-proxy/.test(command),
  );
  await answering(engine);
  return engine;
}

function engineOf(
  name: string,
  client: string,
  socket: string,
  daemon: Subprocess,
  owns: (commandLine: string) => boolean,
): Engine {
  return {
    name,
    command: (...argv) => ({ argv: [client, ...argv], env: { DOCKER_HOST: `unix://${socket}`, DOCKER_BUILDKIT: "1" } }),
    async request(method, path, body) {
      const response = await fetch(`http://engine${path}`, {
        ...{ unix: socket, method },
        ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok && response.status !== 304) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === "" ? undefined : JSON.parse(text);
    },
    memory: () => proportionalMemory(owns),
    async [Symbol.asyncDispose]() {
      daemon.kill("SIGTERM");
      await daemon.exited;
      // What outlives a daemon (our supervisor, Docker's shims) ends by itself once nothing runs any more.
      const deadline = performance.now() + 10_000;
      while (proportionalMemory(owns) > 0 && performance.now() < deadline) await Bun.sleep(50);
    },
  };
}

async function answering(engine: Engine): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      await runCommand(engine.command("version"));
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await Bun.sleep(50);
    }
  }
}

/** MiB of PSS of all processes whose command line matches; this process and its children of other kinds are not counted. */
export function proportionalMemory(owns: (commandLine: string) => boolean): number {
  let kilobytes = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      const executable = readlinkSync(`/proc/${pid}/exe`);
      if (Number(pid) === process.pid || !owns(`${executable} ${commandLine}`)) continue;
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      // The process ended, or has no address space (a kernel thread).
    }
  }
  return kilobytes / 1024;
}
