import type { Database } from "bun:sqlite";
import { SlipwayError } from "@slipway/base";
import { type ChainId, type Compression, chainIdOf, type DiffId, type Digest } from "@slipway/oci";
import type { DiskSync } from "../disk-sync.ts";
import type { Layer } from "../faces.ts";
import { type DirEntry, defaultDirectory } from "./layer-entries.ts";

export interface LayerRow {
  readonly chainId: ChainId;
  readonly parent: ChainId | null;
  readonly diffId: DiffId;
  readonly tarSize: number;
  readonly size: number;
  readonly bound: number;
  readonly root: string | null;
  readonly tar: Digest | null;
  readonly compression: Compression | null;
  /** The tree's directory, if there is a tree. */
  readonly directory: string | null;
  readonly canonical: number | null;
}

export interface NewDiff {
  readonly diffId: DiffId;
  readonly tarSize: number;
  readonly size: number;
  readonly bound: boolean;
  readonly root?: DirEntry | undefined;
  readonly tar?: { readonly digest: Digest; readonly compression: Compression };
}

export interface NewTree {
  readonly directory: string;
  readonly canonical: boolean;
}

const COLUMNS = `
  layers.chain_id AS chainId, layers.parent, layers.diff_id AS diffId, diffs.tar_size AS tarSize, diffs.size, diffs.bound,
  diffs.root, diffs.tar, diffs.compression, trees.directory, trees.canonical`;
/** A bound tree belongs to one place in one stack, all others to the diff ID. */
const JOINS = `
  JOIN diffs ON diffs.diff_id = layers.diff_id
  LEFT JOIN trees ON trees.key = iif(diffs.bound, layers.chain_id, layers.diff_id)`;

/** The rows of layers: what the database knows, without touching files. */
export class LayerTable {
  readonly #database: Database;
  readonly #sync: DiskSync;

  constructor(database: Database, sync: DiskSync) {
    this.#database = database;
    this.#sync = sync;
  }

  get(chainId: ChainId): LayerRow | undefined {
    const sql = `SELECT ${COLUMNS} FROM layers ${JOINS} WHERE layers.chain_id = ?`;
    return this.#database.query<LayerRow, [string]>(sql).get(chainId) ?? undefined;
  }

  require(chainId: ChainId): LayerRow {
    const row = this.get(chainId);
    if (row === undefined) throw new SlipwayError("not-found", `no layer ${chainId}`);
    return row;
  }

  /** Bottom first. Throws `not-found`. */
  stack(chainId: ChainId): LayerRow[] {
    const sql = `
      WITH RECURSIVE stack (chain_id, parent, height) AS (
        SELECT chain_id, parent, 0 FROM layers WHERE chain_id = ?
        UNION ALL
        SELECT layers.chain_id, layers.parent, height + 1 FROM layers JOIN stack ON layers.chain_id = stack.parent
      )
      SELECT ${COLUMNS} FROM stack JOIN layers ON layers.chain_id = stack.chain_id ${JOINS} ORDER BY stack.height DESC`;
    const rows = this.#database.query<LayerRow, [string]>(sql).all(chainId);
    if (rows.length === 0) throw new SlipwayError("not-found", `no layer ${chainId}`);
    return rows;
  }

  diff(diffId: DiffId): { readonly bound: number; readonly tar: Digest | null } | undefined {
    const sql = "SELECT bound, tar FROM diffs WHERE diff_id = ?";
    return this.#database.query<{ bound: number; tar: Digest | null }, [string]>(sql).get(diffId) ?? undefined;
  }

  hasTree(key: Digest): boolean {
    return this.#database.query("SELECT 1 FROM trees WHERE key = ?").get(key) !== null;
  }

  /** Adds what is new of a layer in one transaction; its files must be in place. */
  add(parent: ChainId | undefined, diff: NewDiff, tree?: NewTree): Layer {
    const chainId = chainIdOf(parent, diff.diffId);
    this.#database.transaction(() => {
      this.#addDiff(diff);
      if (tree !== undefined) this.addTree(diff.bound ? chainId : diff.diffId, diff.diffId, tree);
      this.addLayer(chainId, parent, diff.diffId);
    })();
    const { diffId, tarSize, size } = diff;
    return { chainId, ...(parent !== undefined && { parent }), diffId, tarSize, size };
  }

  /**
   * A layer that has arrived, before those below it: its forms without a place in a stack, kept until `until` (milliseconds
   * since the epoch).
   */
  addArrival(diff: NewDiff, tree: NewTree | undefined, until: number): void {
    this.#database.transaction(() => {
      this.#addDiff(diff);
      if (tree !== undefined) this.addTree(diff.diffId, diff.diffId, tree);
      this.#database
        .query("INSERT INTO arrivals (diff_id, until) VALUES (?1, ?2) ON CONFLICT (diff_id) DO UPDATE SET until = ?2")
        .run(diff.diffId, until);
    })();
  }

  settleArrivals(diffIds: readonly DiffId[]): void {
    const settle = this.#database.query("DELETE FROM arrivals WHERE diff_id = ?");
    this.#database.transaction(() => {
      for (const diffId of diffIds) settle.run(diffId);
    })();
  }

  addLayer(chainId: ChainId, parent: ChainId | undefined, diffId: DiffId): void {
    this.#database
      .query("INSERT OR IGNORE INTO layers (chain_id, parent, diff_id) VALUES (?, ?, ?)")
      .run(chainId, parent ?? null, diffId);
  }

  addTree(key: Digest, diffId: DiffId, tree: NewTree): void {
    this.#database
      .query("INSERT INTO trees (key, diff_id, directory, canonical, unsynced) VALUES (?, ?, ?, ?, ?)")
      .run(key, diffId, tree.directory, tree.canonical ? 1 : 0, this.#sync.mark());
  }

  /** An uncompressed tar wins over a compressed one: it can be read at any place. */
  setTar(diffId: DiffId, digest: Digest, compression: Compression): void {
    const sql =
      "UPDATE diffs SET tar = ?2, compression = ?3 WHERE diff_id = ?1 AND (tar IS NULL OR compression <> 'none')";
    this.#database.query(sql).run(diffId, digest, compression);
  }

  #addDiff(diff: NewDiff): void {
    const { diffId, tarSize, size, bound, root, tar } = diff;
    this.#database
      .query(
        `INSERT OR IGNORE INTO diffs (diff_id, tar_size, size, bound, root, tar, compression) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        diffId,
        tarSize,
        size,
        bound ? 1 : 0,
        root ? encodeRoot(root) : null,
        tar?.digest ?? null,
        tar?.compression ?? null,
      );
    if (tar !== undefined) this.setTar(diffId, tar.digest, tar.compression);
  }
}

export function layerOf(row: LayerRow): Layer {
  const { chainId, parent, diffId, tarSize, size } = row;
  return { chainId, ...(parent !== null && { parent }), diffId, tarSize, size };
}

/** The root directory of a stack: as the topmost layer has it that says anything about it. `rows` bottom first. */
export function rootOf(rows: readonly LayerRow[]): DirEntry {
  const root = rows.findLast((row) => row.root !== null)?.root;
  return root == null ? defaultDirectory("") : decodeRoot(root);
}

function encodeRoot({ mode, uid, gid, mtime, xattrs }: DirEntry): string {
  const attributes = [...(xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString("base64")]);
  return JSON.stringify({ mode, uid, gid, mtime: String(mtime), xattrs: Object.fromEntries(attributes) });
}

export function decodeRoot(text: string): DirEntry {
  const { mode, uid, gid, mtime, xattrs } = JSON.parse(text) as {
    mode: number;
    uid: number;
    gid: number;
    mtime: string;
    xattrs: Record<string, string>;
  };
  const attributes = new Map(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value, "base64")]));
  return {
    kind: "dir",
    path: "",
    mode,
    uid,
    gid,
    mtime: BigInt(mtime),
    ...(attributes.size > 0 && { xattrs: attributes }),
  };
}
