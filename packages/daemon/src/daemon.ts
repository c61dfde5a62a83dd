import { writeSync } from "node:fs";
import { describeError, type Logger, Scope } from "@slipway/base";
import { serveApi } from "@slipway/server";
import { compose } from "./composition.ts";
import { type DaemonConfig, type DaemonFlags, resolveConfig } from "./config.ts";
import { requireRoot } from "./detached.ts";
import { collectWhenIdle } from "./idle-memory.ts";
import { lockDirectory } from "./instance-lock.ts";
import { removePidfile, writePidfile } from "./pidfile.ts";
import { ReloadableLogger } from "./reloadable-logger.ts";
import { shutdownSignal } from "./shutdown.ts";
import { socketGroup } from "./socket-group.ts";
import { readTls } from "./tls-files.ts";

/**
 * Runs the engine until a signal ends it; resolves with the exit code. Log lines go to stderr.
 *
 * Containers outlive the daemon unless `live-restore` is turned off: SIGTERM ends the API and the daemon's own work only,
 * and the next daemon on the same data root finds them. Throws before it has begun to serve: `invalid` (flags, file),
 * `forbidden` (not root), `conflict` (data root, exec root, pid file or socket belong to another daemon).
 */
export async function runDaemon(flags: DaemonFlags): Promise<number> {
  requireRoot();
  const config = resolveConfig(flags);
  const log = new ReloadableLogger({ level: config.logLevel, format: config.logFormat, write: writeLine });
  // The daemon never dies of one request's mistake: all of its state is on disk, and what failed has been answered.
  process.on("unhandledRejection", (error) => log.error("unexpected failure", { error: stackOf(error) }));
  process.on("uncaughtException", (error) => log.error("unexpected failure", { error: stackOf(error) }));
  reloadOnHangup(flags, log);
  const ended = shutdownSignal(log);
  await using scope = new Scope();
  const server = await start(config, log, scope);
  const milliseconds = Math.round(performance.now());
  log.info("ready", { addresses: server.addresses, dataRoot: config.dataRoot, pid: process.pid, milliseconds });
  scope.defer(collectWhenIdle());
  const signal = await ended;
  log.info("shutting down", { signal });
  return 0;
}

/** Every step registers what undoes it, so that the end is the beginning backwards, also when a step fails. */
async function start(config: DaemonConfig, log: Logger, scope: Scope) {
  const gid = socketGroup(config.group);
  const lock = lockDirectory(config.execRoot, "exec-root");
  scope.defer(() => lock.release());
  writePidfile(config.pidfile);
  scope.defer(() => removePidfile(config.pidfile));
  const backends = await compose(config, log, scope);
  const tls = readTls(config);
  const addresses = config.addresses.map((address) =>
    address.kind === "unix" ? { ...address, gid } : { ...address, ...(tls && { tls }) },
  );
  const server = await serveApi({ backends, addresses, log: log.with({ part: "api" }) });
  // Clients that follow logs or events would hold the shutdown up for ever.
  scope.defer(() => server.close(Math.min(config.shutdownTimeout, 1) * 1000));
  return server;
}

/** SIGHUP reads the configuration file again; the log level is what can change while the daemon runs. */
function reloadOnHangup(flags: DaemonFlags, log: ReloadableLogger): void {
  process.on("SIGHUP", () => {
    try {
      const { logLevel } = resolveConfig(flags);
      log.setLevel(logLevel);
      log.info("configuration reloaded", { logLevel });
    } catch (error) {
      log.error("the configuration was not reloaded", { error: describeError(error) });
    }
  });
}

function writeLine(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Whoever read the log is gone; the daemon has other things to do.
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
