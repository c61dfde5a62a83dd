import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { flock } from "@slipway/sys";

/** Keeps a directory for one daemon while its process lives, however it ends. */
export interface InstanceLock {
  release(): void;
}

/**
 * Locks a data root or an exec root. Throws `conflict` that names the process that holds it. The kernel frees the lock
 * with the process, so nothing stale can be left by a crash.
 */
export function lockDirectory(directory: string, what: string): InstanceLock {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const path = join(directory, "daemon.lock");
  const fd = openSync(path, "a+", 0o600);
  if (!flock(fd)) {
    closeSync(fd);
    const holder = readFileSync(path, "utf8").trim();
    throw new SlipwayError("conflict", `the ${what} ${directory} is in use by another daemon, process ${holder}`, {
      hint: `Stop that one, or give this one a --${what} of its own.`,
    });
  }
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`);
  return { release: () => closeSync(fd) };
}
