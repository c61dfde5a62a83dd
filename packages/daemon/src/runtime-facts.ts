import { basename } from "node:path";
import { isError } from "@slipway/base";
import { findRuntime } from "@slipway/runtime";

export interface RuntimeFacts {
  readonly name: string;
  readonly path: string;
  readonly version: string;
}

/**
 * The OCI runtime for `info` and `version`. Asking it costs a process, so it is asked when first somebody wants to know; a
 * runtime that is installed later is found then.
 */
export class LazyRuntimeFacts implements RuntimeFacts {
  #facts: RuntimeFacts | undefined;

  get name(): string {
    return this.#known.name;
  }

  get path(): string {
    return this.#known.path;
  }

  get version(): string {
    return this.#known.version;
  }

  get #known(): RuntimeFacts {
    if (this.#facts !== undefined) return this.#facts;
    const path = find();
    if (path === undefined) return { name: "runc", path: "", version: "" };
    return (this.#facts = { name: basename(path), path, version: askVersion(path) });
  }
}

function find(): string | undefined {
  try {
    return findRuntime();
  } catch (error) {
    if (isError(error, "unavailable")) return undefined;
    throw error;
  }
}

/** The first line is `runc version 1.1.5+ds1` or `crun version 1.8.1`. */
function askVersion(path: string): string {
  const { stdout } = Bun.spawnSync([path, "--version"], { timeout: 2000 });
  return /version (\S+)/.exec(stdout.toString())?.[1] ?? "";
}
