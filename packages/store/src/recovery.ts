import type { Database } from "bun:sqlite";
import { existsSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { errorMessage, type Logger } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import { unmountBelow } from "@slipway/sys";
import type { StorePaths } from "./faces.ts";
import { decodeRoot } from "./layers/layer-table.ts";
import { blobPath, RESUMABLE_SUFFIX, treeHome, treePath } from "./paths.ts";
import type { Trash } from "./trash.ts";
import type { WorkerPool } from "./workers/worker-pool.ts";

/** Unfinished downloads that nobody came back for in this time are removed. */
const RESUMABLE_MS = 7 * 24 * 3600 * 1000;

export interface RecoveryOptions {
  readonly database: Database;
  readonly paths: StorePaths;
  readonly boot: string;
  readonly userxattr: boolean;
  readonly trash: Trash;
  readonly pool: WorkerPool;
  readonly log: Logger;
}

/**
 * Makes the data root whole after whatever ended the last process. Nothing else uses it yet.
 *
 * 1. Mounts on temporary writables are undone, and the writables removed: whoever made them is gone.
 * 2. Rows whose files are missing go, and rows whose files a power cut may have damaged are verified (disk-sync.ts).
 * 3. Files without rows go: a crash between rename and row leaves them.
 */
export async function recover(options: RecoveryOptions): Promise<void> {
  removeTemporaryWritables(options);
  await dropDamaged(options);
  removeOrphans(options);
  options.trash.empty();
}

function removeTemporaryWritables({ database, paths, trash, log }: RecoveryOptions): void {
  const known = new Set(
    database
      .query<{ id: string }, []>("SELECT id FROM writables")
      .all()
      .map(({ id }) => id),
  );
  for (const name of readdirSync(paths.writable)) {
    if (known.has(name)) continue;
    const home = `${paths.writable}/${name}`;
    try {
      unmountBelow(home);
      trash.take(home);
    } catch (error) {
      log.warn("a leftover of an earlier run stays", { path: home, error: errorMessage(error) });
    }
  }
  unmountQuietly(paths.trash, log);
}

/** Deleting must never reach through a mount into what is mounted. */
function unmountQuietly(path: string, log: Logger): void {
  try {
    unmountBelow(path);
  } catch (error) {
    log.warn("a mount of an earlier run stays", { path, error: errorMessage(error) });
  }
}

async function dropDamaged(options: RecoveryOptions): Promise<void> {
  const { database, log } = options;
  const blobs = await damagedBlobs(options);
  const trees = await damagedTrees(options);
  if (blobs.length === 0 && trees.length === 0) return;
  log.warn("content was damaged or lost and is dropped", { blobs, trees });
  database.transaction(() => {
    for (const key of trees) database.query("DELETE FROM trees WHERE key = ?").run(key);
    for (const digest of blobs) dropBlob(database, digest);
    dropLayersWithoutFiles(database);
  })();
}

/** The blob's row, and the images that cannot be without it. */
function dropBlob(database: Database, digest: Digest): void {
  database.query("UPDATE diffs SET tar = NULL, compression = NULL WHERE tar = ?").run(digest);
  database.query("DELETE FROM images WHERE id = ?1 OR manifest = ?1").run(digest);
  database.query("DELETE FROM blobs WHERE digest = ?").run(digest);
}

/**
 * A layer that has neither form any more takes everything above it with it: images, writables, layers. A tree that was
 * extracted from a lost tar can still be mounted and stays.
 */
function dropLayersWithoutFiles(database: Database): void {
  database.run(`
    CREATE TEMP TABLE lost AS
      WITH RECURSIVE lost (chain_id) AS (
        SELECT chain_id FROM layers JOIN diffs USING (diff_id)
          WHERE diffs.tar IS NULL
            AND NOT EXISTS (SELECT 1 FROM trees WHERE key = iif(diffs.bound, layers.chain_id, layers.diff_id))
        UNION
        SELECT layers.chain_id FROM layers JOIN lost ON layers.parent = lost.chain_id
      ) SELECT chain_id FROM lost;
    DELETE FROM images WHERE top IN (SELECT chain_id FROM lost);
    DELETE FROM writables WHERE parent IN (SELECT chain_id FROM lost);
    PRAGMA defer_foreign_keys = ON;
    DELETE FROM layers WHERE chain_id IN (SELECT chain_id FROM lost);
    DELETE FROM diffs WHERE diff_id NOT IN (SELECT diff_id FROM layers)
      AND (tar IS NULL OR diff_id NOT IN (SELECT diff_id FROM arrivals));
    DROP TABLE lost;
  `);
}

async function damagedBlobs(options: RecoveryOptions): Promise<Digest[]> {
  const { database, paths, boot, pool } = options;
  const sql = "SELECT digest, size, unsynced FROM blobs";
  const damaged: Digest[] = [];
  for (const row of database.query<{ digest: Digest; size: number; unsynced: string | null }, []>(sql).all()) {
    const path = blobPath(paths, row.digest);
    if (statSync(path, { throwIfNoEntry: false })?.size !== row.size) damaged.push(row.digest);
    else if (isSuspect(row.unsynced, boot) && !(await pool.run({ op: "verify", path, digest: row.digest }))) {
      damaged.push(row.digest);
    }
  }
  return damaged;
}

async function damagedTrees(options: RecoveryOptions): Promise<Digest[]> {
  const { database, paths, boot, pool, userxattr } = options;
  const sql = `SELECT key, trees.diff_id AS diffId, directory, canonical, unsynced, root, tar
               FROM trees JOIN diffs ON diffs.diff_id = trees.diff_id`;
  const damaged: Digest[] = [];
  for (const row of database.query<TreeRow, []>(sql).all()) {
    const root = treePath(paths, row.directory);
    if (!existsSync(root)) {
      damaged.push(row.key);
      continue;
    }
    if (!isSuspect(row.unsynced, boot)) continue;
    // What was extracted can be extracted again, which is as quick as to compare it.
    if (row.canonical === 0) {
      if (row.tar !== null) damaged.push(row.key);
      continue;
    }
    const rootEntry = row.root === null ? {} : { rootEntry: decodeRoot(row.root) };
    const made = await pool.run({ op: "hash-tree", root, userxattr, ...rootEntry }).catch(() => undefined);
    if (made?.diffId !== row.diffId) damaged.push(row.key);
  }
  return damaged;
}

interface TreeRow {
  readonly key: Digest;
  readonly diffId: Digest;
  readonly directory: string;
  readonly canonical: number;
  readonly unsynced: string | null;
  readonly root: string | null;
  readonly tar: string | null;
}

/** Written, but not known to be on the disk, before the machine went down. */
function isSuspect(unsynced: string | null, boot: string): boolean {
  return unsynced !== null && !unsynced.startsWith(`${boot}/`);
}

function removeOrphans({ database, paths, trash }: RecoveryOptions): void {
  const blobs = new Set(
    database
      .query<{ digest: string }, []>("SELECT digest FROM blobs")
      .all()
      .map(({ digest }) => digest.replace(":", "/")),
  );
  for (const algorithm of ["sha256", "sha512"]) {
    for (const hex of readdirSync(`${paths.content}/blobs/${algorithm}`)) {
      if (!blobs.has(`${algorithm}/${hex}`)) trash.take(`${paths.content}/blobs/${algorithm}/${hex}`);
    }
  }
  const trees = new Set(
    database
      .query<{ directory: string }, []>("SELECT directory FROM trees")
      .all()
      .map(({ directory }) => directory),
  );
  for (const name of readdirSync(paths.layers)) if (!trees.has(name)) trash.take(treeHome(paths, name));
  for (const name of readdirSync(paths.ingest)) {
    const path = `${paths.ingest}/${name}`;
    if (name.endsWith(RESUMABLE_SUFFIX) && Date.now() - statSync(path).mtimeMs < RESUMABLE_MS) continue;
    unlinkSync(path);
  }
  for (const name of readdirSync(paths.content)) if (name.endsWith(".tmp")) unlinkSync(`${paths.content}/${name}`);
}
