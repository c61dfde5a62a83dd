import type { Database } from "bun:sqlite";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { ChainId } from "@slipway/oci";
import { lsetxattr } from "@slipway/sys";
import type { StorePaths, WritableLayer } from "../faces.ts";
import { type WritablePaths, writablePaths } from "../paths.ts";
import type { Trash } from "../trash.ts";
import type { DirEntry } from "./layer-entries.ts";

/** Upper and work directories. Persistent ones have a row; the others are known to this process and to nobody after it. */
export class Writables {
  readonly #database: Database;
  readonly #paths: StorePaths;
  readonly #trash: Trash;
  /** Ids of this process' temporary ones with the layer below them. */
  readonly #temporary = new Map<string, ChainId | undefined>();

  constructor(database: Database, paths: StorePaths, trash: Trash) {
    this.#database = database;
    this.#paths = paths;
    this.#trash = trash;
  }

  /** `root` is what the root directory looks like below: the upper directory stands in its place. */
  make(parent: ChainId | undefined, root: DirEntry, persistent: boolean): WritablePaths & { readonly id: string } {
    const id = randomBytes(6).toString("hex");
    const paths = writablePaths(this.#paths, id);
    mkdirSync(paths.home, 0o711);
    mkdirSync(paths.upper, 0o755);
    mkdirSync(paths.work, 0o700);
    mkdirSync(paths.merged, 0o755);
    if (root.uid !== 0 || root.gid !== 0) chownSync(paths.upper, root.uid, root.gid);
    if (root.mode !== 0o755) chmodSync(paths.upper, root.mode);
    for (const [name, value] of root.xattrs ?? []) lsetxattr(paths.upper, name, value);
    if (persistent) this.#database.query("INSERT INTO writables (id, parent) VALUES (?, ?)").run(id, parent ?? null);
    else this.#temporary.set(id, parent);
    return { id, ...paths };
  }

  /** Persistent ones: id and parent. */
  rows(): { readonly id: string; readonly parent: ChainId | null }[] {
    return this.#database.query<{ id: string; parent: ChainId | null }, []>("SELECT id, parent FROM writables").all();
  }

  row(id: string): { readonly id: string; readonly parent: ChainId | null } | undefined {
    const sql = "SELECT id, parent FROM writables WHERE id = ?";
    return this.#database.query<{ id: string; parent: ChainId | null }, [string]>(sql).get(id) ?? undefined;
  }

  /** The layers that writables stand on, with the reason for the collector. */
  *parents(without: ReadonlySet<string> = new Set()): Generator<readonly [ChainId, string]> {
    for (const { id, parent } of this.rows()) if (parent !== null && !without.has(id)) yield [parent, `writable ${id}`];
    for (const [id, parent] of this.#temporary) if (parent !== undefined) yield [parent, `writable ${id}`];
  }

  check(writable: WritableLayer): void {
    if (this.#temporary.has(writable.id) || this.row(writable.id) !== undefined) return;
    throw new SlipwayError("not-found", `no writable layer ${writable.id}`);
  }

  /** Ends one: its row first, then its files. */
  remove(id: string): void {
    this.#temporary.delete(id);
    this.#database.query("DELETE FROM writables WHERE id = ?").run(id);
    this.#trash.take(writablePaths(this.#paths, id).home);
  }
}
