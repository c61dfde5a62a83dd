import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { type Digest, digestAlgorithm, digestHex } from "@slipway/oci";
import type { StorePaths } from "./faces.ts";

/** The one place that knows how the data root is laid out. */
export function storePaths(dataRoot: string): StorePaths {
  const root = resolve(dataRoot);
  const content = join(root, "content");
  return {
    root,
    content,
    ingest: join(content, "ingest"),
    layers: join(root, "layers"),
    writable: join(root, "writable"),
    trash: join(root, "trash"),
    restorable: join(root, "restorable"),
    containers: join(root, "containers"),
    volumes: join(root, "volumes"),
    build: join(root, "build"),
    database: join(root, "slipway.db"),
    lock: join(root, "lock"),
  };
}

/** Directories that exist in every data root, parents first. All are for root alone: layers hold setuid files and devices. */
export function storeDirectories(paths: StorePaths): string[] {
  return [
    paths.root,
    paths.content,
    paths.ingest,
    join(paths.content, "blobs"),
    join(paths.content, "blobs", "sha256"),
    join(paths.content, "blobs", "sha512"),
    paths.layers,
    paths.writable,
    paths.trash,
    paths.restorable,
    paths.containers,
    paths.volumes,
    paths.build,
  ];
}

export function blobPath(paths: StorePaths, digest: Digest): string {
  return `${paths.content}/blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/** Unfinished content of a key. Keys come from outside, so the file is named by the key's hash. */
export function resumablePath(paths: StorePaths, key: string): string {
  return `${paths.ingest}/${createHash("sha256").update(key).digest("hex")}${RESUMABLE_SUFFIX}`;
}

/** Files with this ending are kept over a restart; all else in `ingest` belongs to a process that is gone. */
export const RESUMABLE_SUFFIX = ".partial";

export function ociLayoutPath(paths: StorePaths): string {
  return join(paths.content, "oci-layout");
}

export function ociIndexPath(paths: StorePaths): string {
  return join(paths.content, "index.json");
}

export function treeHome(paths: StorePaths, directory: string): string {
  return `${paths.layers}/${directory}`;
}

export function treePath(paths: StorePaths, directory: string): string {
  return `${paths.layers}/${directory}/diff`;
}

export interface WritablePaths {
  readonly home: string;
  readonly upper: string;
  readonly work: string;
  readonly merged: string;
}

export function writablePaths(paths: StorePaths, id: string): WritablePaths {
  const home = `${paths.writable}/${id}`;
  return { home, upper: `${home}/upper`, work: `${home}/work`, merged: `${home}/merged` };
}
