import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { flock } from "@slipway/sys";

/** How long the kernel may take to close the files of a process that has been killed. */
const PATIENCE_MS = 5000;
const STEP_MS = 10;

/** Holds a data root for this process. The kernel lets go of it however the process ends. */
export class DataLock {
  readonly #fd: number;

  /** Throws `conflict` that names the process which has it. */
  static async acquire(path: string, root: string): Promise<DataLock> {
    const fd = openSync(path, "a+", 0o600);
    const deadline = Date.now() + PATIENCE_MS;
    while (!flock(fd)) {
      const pid = holderOf(path);
      // A daemon that is started again right after a kill must not fail because the old one is still being taken down.
      if (Date.now() > deadline || pid === undefined || isAlive(pid)) {
        closeSync(fd);
        throw inUse(pid, root);
      }
      await Bun.sleep(STEP_MS);
    }
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`);
    return new DataLock(fd);
  }

  private constructor(fd: number) {
    this.#fd = fd;
  }

  release(): void {
    closeSync(this.#fd);
  }
}

function holderOf(path: string): number | undefined {
  const pid = Number.parseInt(readFileSync(path, "utf8"), 10);
  return Number.isNaN(pid) ? undefined : pid;
}

/** Not gone, not a zombie, not killed and waiting for its last system call. */
function isAlive(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const SIGKILL = 1n << 8n;
    const pending = /^(?:Sig|Shd)Pnd:\s*([0-9a-f]+)/gm;
    const isKilled = [...status.matchAll(pending)].some(([, mask]) => (BigInt(`0x${mask}`) & SIGKILL) !== 0n);
    return !isKilled && !/^State:\s*[ZX]/m.test(status);
  } catch {
    return false;
  }
}

function inUse(pid: number | undefined, root: string): SlipwayError {
  const holder = pid === undefined ? "another process" : `process ${pid}`;
  return new SlipwayError("conflict", `the data root ${root} is in use by ${holder}`, {
    hint: "Stop the other daemon, or start this one with another --data-root.",
    details: pid === undefined ? {} : { pid },
  });
}
