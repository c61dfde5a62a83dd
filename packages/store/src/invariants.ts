import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { errorMessage } from "@slipway/base";
import {
  type ChainId,
  chainIdOf,
  type DiffId,
  type Digest,
  digestAlgorithm,
  digestHex,
  parseManifest,
} from "@slipway/oci";
import { mounts } from "@slipway/sys";
import type { Store } from "./faces.ts";
import { isWhole, readImageRecord } from "./images/restorable-images.ts";
import { decodeRoot } from "./layers/layer-table.ts";
import { blobPath, ociIndexPath, RESUMABLE_SUFFIX, treePath } from "./paths.ts";
import { hashTree } from "./workers/jobs.ts";

/**
 * Everything that must hold in a data root when nothing is going on in it, whatever happened before. Returns what does
 * not, in words; reads every byte. For tests, and for `system check` one day.
 */
export async function checkInvariants(store: Store): Promise<string[]> {
  const problems: string[] = [];
  checkDatabase(store, problems);
  await checkBlobs(store, problems);
  checkTrees(store, problems);
  checkLayers(store, problems);
  await checkImages(store, problems);
  checkLayout(store, problems);
  checkPlaces(store, problems);
  checkRestorables(store, problems);
  return problems;
}

function checkDatabase({ database }: Store, problems: string[]): void {
  const integrity = database.query<{ integrity_check: string }, []>("PRAGMA integrity_check").all();
  for (const { integrity_check } of integrity)
    if (integrity_check !== "ok") problems.push(`database: ${integrity_check}`);
  const dangling = database.query<{ table: string; parent: string }, []>("PRAGMA foreign_key_check").all();
  for (const { table, parent } of dangling) problems.push(`database: a row of ${table} refers to no row of ${parent}`);
}

async function checkBlobs({ database, paths }: Store, problems: string[]): Promise<void> {
  const rows = database.query<{ digest: Digest; size: number }, []>("SELECT digest, size FROM blobs").all();
  for (const { digest, size } of rows) {
    const path = blobPath(paths, digest);
    const actual = statSync(path, { throwIfNoEntry: false })?.size;
    if (actual === undefined) problems.push(`blob ${digest} has no file`);
    else if (actual !== size) problems.push(`blob ${digest} has ${actual} bytes instead of ${size}`);
    else if ((await fileHash(path, digest)) !== digestHex(digest)) problems.push(`blob ${digest} has other content`);
  }
  const known = new Set(rows.map(({ digest }) => digest.replace(":", "/")));
  for (const algorithm of ["sha256", "sha512"]) {
    for (const hex of readdirSync(`${paths.content}/blobs/${algorithm}`)) {
      if (!known.has(`${algorithm}/${hex}`)) problems.push(`blob file ${algorithm}/${hex} has no row`);
    }
  }
}

async function fileHash(path: string, digest: Digest): Promise<string> {
  const hash = createHash(digestAlgorithm(digest));
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

interface TreeRow {
  readonly key: Digest;
  readonly diffId: DiffId;
  readonly directory: string;
  readonly canonical: number;
  readonly root: string | null;
}

function checkTrees({ database, paths, userxattr }: Store, problems: string[]): void {
  const sql = "SELECT key, trees.diff_id AS diffId, directory, canonical, root FROM trees JOIN diffs USING (diff_id)";
  const rows = database.query<TreeRow, []>(sql).all();
  for (const { key, diffId, directory, canonical, root } of rows) {
    const tree = treePath(paths, directory);
    if (!existsSync(tree)) problems.push(`tree ${directory} of ${key} does not exist`);
    else if (canonical === 1) {
      const rootEntry = root === null ? {} : { rootEntry: decodeRoot(root) };
      const made = hashTree({ op: "hash-tree", root: tree, userxattr, ...rootEntry }, () => {});
      if (made.diffId !== diffId)
        problems.push(`tree ${directory} has the diff ID ${made.diffId} instead of ${diffId}`);
    }
  }
  const known = new Set(rows.map(({ directory }) => directory));
  for (const name of readdirSync(paths.layers)) if (!known.has(name)) problems.push(`layers/${name} has no row`);
}

function checkLayers({ database }: Store, problems: string[]): void {
  const formless = database
    .query<{ diffId: DiffId }, []>(
      "SELECT diff_id AS diffId FROM diffs WHERE tar IS NULL AND NOT EXISTS (SELECT 1 FROM trees WHERE trees.diff_id = diffs.diff_id)",
    )
    .all();
  for (const { diffId } of formless) problems.push(`diff ${diffId} has neither tree nor tar`);
  const layers = database
    .query<{ chainId: ChainId; parent: ChainId | null; diffId: DiffId }, []>(
      "SELECT chain_id AS chainId, parent, diff_id AS diffId FROM layers",
    )
    .all();
  for (const { chainId, parent, diffId } of layers) {
    if (chainIdOf(parent ?? undefined, diffId) !== chainId) problems.push(`layer ${chainId} has the wrong chain ID`);
  }
}

async function checkImages({ images, layers, blobs }: Store, problems: string[]): Promise<void> {
  try {
    for (const image of images.list()) {
      await blobs.readAll(image.id);
      await blobs.readAll(image.manifestDigest);
      const top = image.layers.at(-1);
      if (top !== undefined && layers.stack(top).length !== image.layers.length) {
        problems.push(`image ${image.id} has a stack of another height`);
      }
    }
  } catch (error) {
    problems.push(`images: ${errorMessage(error)}`);
  }
}

function checkLayout({ paths, blobs }: Store, problems: string[]): void {
  const index = parseManifest(readFileSync(ociIndexPath(paths)));
  if (index.kind !== "index") {
    problems.push("index.json is no index");
    return;
  }
  for (const { digest } of index.manifests) {
    if (blobs.stat(digest) === undefined) {
      problems.push(`index.json names ${digest}, which is not there`);
      continue;
    }
    const manifest = parseManifest(readFileSync(blobs.path(digest)));
    if (manifest.kind !== "manifest") continue;
    for (const part of [manifest.config, ...manifest.layers]) {
      if (blobs.stat(part.digest) === undefined)
        problems.push(`index.json leads to ${part.digest}, which is not there`);
    }
  }
}

/** Nothing lies about that no row knows. Temporary writables are gone as nothing is going on. */
function checkPlaces(store: Store, problems: string[]): void {
  const { paths, layers } = store;
  const writables = layers.writables();
  const known = new Set(writables.map(({ id }) => id));
  for (const name of readdirSync(paths.writable)) if (!known.has(name)) problems.push(`writable/${name} has no row`);
  for (const { id, upper } of writables) if (!existsSync(upper)) problems.push(`writable ${id} has no files`);
  for (const name of readdirSync(paths.ingest)) {
    if (!name.endsWith(RESUMABLE_SUFFIX)) problems.push(`ingest/${name} was left behind`);
  }
  const merged = new Set(writables.map((writable) => writable.merged));
  for (const { target } of mounts()) {
    const inside = target.startsWith(`${paths.layers}/`) || target.startsWith(`${paths.writable}/`);
    if (inside && !merged.has(target)) problems.push(`${target} is still mounted`);
  }
}

/** What was pruned is whole: content of images, and one directory for each volume, which is nowhere else. */
function checkRestorables({ paths, restorables, database }: Store, problems: string[]): void {
  const volumes = new Set<string>();
  for (const item of restorables.list()) {
    if (item.kind === "volume") {
      volumes.add(item.id);
      const held = existsSync(`${paths.restorable}/${item.id}`) ? readdirSync(`${paths.restorable}/${item.id}`) : [];
      if (held.length !== 1) problems.push(`pruned volume ${item.name} has ${held.length} directories`);
    } else if (!isWhole(database, readImageRecord(item.record))) {
      problems.push(`pruned image ${item.name} has lost content`);
    }
  }
  for (const id of readdirSync(paths.restorable)) if (!volumes.has(id)) problems.push(`restorable/${id} has no row`);
}
