import { basename } from "node:path";
import { isError } from "@slipway/base";
import { findRuntime } from "@slipway/runtime";

/**
 * The OCI runtime for `info` and `version`. Asking it costs a process, so it is asked when first somebody wants to know; a
 * runtime that is installed later is found then.
 */
export class RuntimeFacts {
  name = "runc";
  path = "";
  version = "";
  #loading: Promise<void> | undefined;

  /** Fills the fields; again does nothing once they are known. */
  async load(): Promise<void> {
    if (this.version !== "") return;
    this.#loading ??= this.#ask().finally(() => {
      this.#loading = undefined;
    });
    await this.#loading;
  }

  async #ask(): Promise<void> {
    const path = find();
    if (path === undefined) return;
    this.name = basename(path);
    this.path = path;
    const child = Bun.spawn([path, "--version"], { stdio: ["ignore", "pipe", "ignore"], timeout: 2000 });
    // The first line is `runc version 1.1.5+ds1` or `crun version 1.8.1`.
    this.version = /version (\S+)/.exec(await new Response(child.stdout).text())?.[1] ?? "";
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
