import { closeSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { DaemonFlags } from "./config.ts";
import { resolveConfig } from "./config.ts";
import { daemonArguments } from "./daemon-arguments.ts";
import { selfCommand } from "./self-command.ts";

const LOG_LIMIT = 10 * 1024 * 1024;
const START_TIMEOUT = 20_000;
const POLL_INTERVAL = 4;

/** Where a daemon that was started in the background writes its log. */
export function daemonLogPath(dataRoot: string): string {
  return join(dataRoot, "daemon.log");
}

/**
 * Starts a daemon that outlives this process and waits until its first unix socket answers. When another process starts
 * one at the same moment, either will do. Throws `unavailable` with the log's last lines when none comes up, `forbidden`
 * without root.
 */
export async function startDetachedDaemon(
  flags: DaemonFlags = {},
  command: readonly string[] = selfCommand(),
): Promise<{ readonly socket: string; readonly pid: number }> {
  requireRoot();
  const config = resolveConfig(flags);
  const socket = config.addresses.find((address) => address.kind === "unix")?.path;
  if (socket === undefined) throw new SlipwayError("invalid", "a daemon in the background needs a unix socket");
  const logPath = daemonLogPath(config.dataRoot);
  const log = openLog(logPath);
  const beginning = statSync(logPath).size;
  const child = Bun.spawn([...command, "daemon", ...daemonArguments(flags)], {
    stdio: ["ignore", log, log],
    cwd: "/",
    // A session of its own: the terminal's Ctrl-C and hang-up are not for it.
    detached: true,
  });
  closeSync(log);
  child.unref();
  const deadline = performance.now() + START_TIMEOUT;
  while (!(await answers(socket))) {
    if (child.exitCode !== null && !(await answersSoon(socket))) throw failed(logPath, beginning);
    if (performance.now() > deadline) throw failed(logPath, beginning);
    await Bun.sleep(POLL_INTERVAL);
  }
  return { socket, pid: child.pid };
}

export function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new SlipwayError("forbidden", "the daemon must run as root: it makes mounts, namespaces and cgroups", {
    hint: "Run it with sudo.",
  });
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  try {
    if (statSync(path).size > LOG_LIMIT) renameSync(path, `${path}.1`);
  } catch {
    // There is none yet.
  }
  return openSync(path, "a", 0o600);
}

async function answers(path: string): Promise<boolean> {
  try {
    const response = await fetch("http://daemon/_ping", { unix: path, signal: AbortSignal.timeout(1000) });
    return response.ok;
  } catch {
    return false;
  }
}

/** Ours has ended, perhaps because another one came first and is still starting. */
async function answersSoon(path: string): Promise<boolean> {
  for (let attempt = 0; attempt < 250; attempt++) {
    if (await answers(path)) return true;
    await Bun.sleep(POLL_INTERVAL);
  }
  return false;
}

function failed(logPath: string, from: number): SlipwayError {
  const tail = readFileSync(logPath).subarray(from).toString("utf8").trim().split("\n").slice(-5).join("\n");
  return new SlipwayError("unavailable", `the daemon did not start:\n${tail || "(it wrote nothing)"}`, {
    hint: `Its log is ${logPath}.`,
  });
}
