import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { flock } from "@slipway/sys";

/** Holds a data root for this process. The kernel lets go of it however the process ends. */
export class DataLock {
  readonly #fd: number;

  /** Throws `conflict` that names the process which has it. */
  constructor(path: string, root: string) {
    this.#fd = openSync(path, "a+", 0o600);
    if (!flock(this.#fd)) {
      closeSync(this.#fd);
      throw inUse(path, root);
    }
    ftruncateSync(this.#fd, 0);
    writeSync(this.#fd, `${process.pid}\n`);
  }

  release(): void {
    closeSync(this.#fd);
  }
}

function inUse(path: string, root: string): SlipwayError {
  const pid = Number.parseInt(readFileSync(path, "utf8"), 10);
  const holder = Number.isNaN(pid) ? "another process" : `process ${pid}`;
  return new SlipwayError("conflict", `the data root ${root} is in use by ${holder}`, {
    hint: "Stop the other daemon, or start this one with another --data-root.",
    details: Number.isNaN(pid) ? {} : { pid },
  });
}
