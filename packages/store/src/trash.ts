import { randomBytes } from "node:crypto";
import { readdirSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { errnoOf } from "@slipway/base";
import type { StorePaths } from "./faces.ts";

/**
 * Removing a tree takes as long as making it. So what is to go is renamed away at once, which frees its name, and deleted
 * in the background; what a crash leaves here is deleted after the next start.
 */
export class Trash {
  readonly #paths: StorePaths;
  #emptying: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  /** Takes a file or directory away; what is not there is gone already. */
  take(path: string): void {
    try {
      renameSync(path, `${this.#paths.trash}/${randomBytes(8).toString("hex")}`);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    this.empty();
  }

  /** Begins to delete what lies here. */
  empty(): void {
    this.#again = true;
    this.#emptying ??= this.#deleteAll().finally(() => {
      this.#emptying = undefined;
    });
  }

  /** Waits for the deletion under way, and begins no other. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#emptying;
  }

  async #deleteAll(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      for (const name of readdirSync(this.#paths.trash)) {
        if (this.#closed) return;
        // A mount that is still busy below, for instance: the next start tries again.
        await rm(`${this.#paths.trash}/${name}`, { recursive: true, force: true }).catch(() => {});
      }
    }
  }
}
