import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { type Compression, type DiffId, type Digest, digestAlgorithm, digestHex } from "@slipway/oci";
import { syncfs } from "@slipway/sys";
import { TarParser } from "@slipway/tar";
import type { LayerEntry } from "../faces.ts";
import { type TarSummary, writeTar } from "../layers/canonical-tar.ts";
import { type DirEntry, normalizeEntries } from "../layers/layer-entries.ts";
import { type LayerFacts, LayerReader } from "../layers/layer-reader.ts";
import { MergedView } from "../layers/root-view.ts";
import { TarSink, writeFully } from "../layers/tar-sink.ts";
import { buildTree } from "../layers/tree-build.ts";
import { TreeMaker } from "../layers/tree-maker.ts";
import { scanTree } from "../layers/tree-scan.ts";
import { readExpanded } from "./decompress.ts";
import { type HashRing, hashFromRing, RingWriter } from "./hash-ring.ts";

/**
 * The heavy work of the store: pure functions of paths, that know neither database nor leases. They run in a worker, or
 * in place when there is little to do.
 */
export type Job =
  | HashTreeJob
  | ExtractJob
  | ({ readonly op: "inspect" } & TarFile)
  | EntriesJob
  /** The canonical tar of a tree becomes a file. */
  | { readonly op: "write-tar"; readonly tree: HashTreeJob; readonly target: string }
  | { readonly op: "index"; readonly path: string }
  /** Hashes what a `hash-tree` with the same ring puts there. */
  | { readonly op: "hash-ring"; readonly ring: HashRing }
  | { readonly op: "syncfs"; readonly path: string }
  | { readonly op: "verify"; readonly path: string; readonly digest: Digest };

export interface TarFile {
  readonly path: string;
  readonly compression: Compression;
}

export interface HashTreeJob {
  readonly op: "hash-tree";
  readonly root: string;
  readonly userxattr: boolean;
  readonly clampMtime?: bigint;
  /** The root directory's own entry, if the layer has one. */
  readonly rootEntry?: DirEntry;
  /** A `hash-ring` runs with the same: it hashes. */
  readonly ring?: HashRing;
}

export interface ExtractJob extends TarFile {
  readonly op: "extract";
  readonly target: string;
  readonly userxattr: boolean;
  /** Trees of the layers below, topmost first, when the layer is bound to them. */
  readonly below: readonly string[];
  /** Checked while extracting, if given. */
  readonly diffId?: DiffId;
}

/** The entries themselves come separately, in batches. */
export interface EntriesJob {
  readonly op: "entries";
  readonly form: "tar" | "tree";
  /** The tar file, or the tree's directory. */
  readonly target: string;
  readonly userxattr: boolean;
  readonly blobs: string;
  readonly remember: boolean;
}

export interface TarFacts extends LayerFacts {
  readonly diffId: DiffId;
  readonly tarSize: number;
}

export type FileSpans = readonly (readonly [path: string, offset: number, size: number])[];

export type EntriesResult = TarSummary & { readonly spans?: FileSpans };

export interface JobResults {
  "hash-tree": TarSummary;
  extract: TarFacts;
  inspect: TarFacts;
  entries: EntriesResult;
  "write-tar": TarSummary;
  index: FileSpans;
  "hash-ring": undefined;
  syncfs: undefined;
  verify: boolean;
}

/** Called often; throws when the job is to stop. */
export type Checkpoint = () => void;

export async function runJob(job: Job, entries: readonly LayerEntry[], checkpoint: Checkpoint): Promise<unknown> {
  switch (job.op) {
    case "hash-tree":
      return hashTree(job, checkpoint);
    case "extract":
      return extract(job, checkpoint);
    case "inspect":
      return inspect(job, checkpoint);
    case "entries":
      return writeEntries(job, entries, checkpoint);
    case "write-tar":
      return writeTreeTar(job.tree, job.target, checkpoint);
    case "index":
      return indexTar(job.path, checkpoint);
    case "hash-ring":
      return hashFromRing(job.ring, checkpoint);
    case "syncfs":
      return syncFileSystem(job.path);
    case "verify":
      return verifyFile(job.path, job.digest, checkpoint);
  }
}

export function hashTree(job: HashTreeJob, checkpoint: Checkpoint, given?: TarSink): TarSummary {
  const { root, userxattr, clampMtime, rootEntry, ring } = job;
  const entries = scanTree(root, {
    userxattr,
    ...(clampMtime !== undefined && { clampMtime }),
    ...(rootEntry && { root: rootEntry }),
  });
  const sink = given ?? new TarSink(ring && { ring: new RingWriter(ring, checkpoint) });
  return writeTar(checked(entries, checkpoint), sink);
}

function* checked<T>(items: Iterable<T>, checkpoint: Checkpoint): Generator<T> {
  for (const item of items) {
    checkpoint();
    yield item;
  }
}

/** Checks a layer's tar without making anything. */
export async function inspect(file: TarFile, checkpoint: Checkpoint): Promise<TarFacts> {
  return readLayer(file, new LayerReader(), checkpoint);
}

export async function extract(job: ExtractJob, checkpoint: Checkpoint): Promise<TarFacts> {
  const view = new MergedView(job.below, { userxattr: job.userxattr });
  const reader = new LayerReader({
    maker: new TreeMaker(job.target, job),
    below: {
      describe: (path) => describeBelow(view, path),
      file: (path) => {
        const entry = view.lstat(`/${path}`);
        return entry === undefined || entry.kind === "dir" ? undefined : entry.hostPath;
      },
    },
  });
  const facts = await readLayer(job, reader, checkpoint);
  if (job.diffId !== undefined && facts.diffId !== job.diffId) {
    throw new SlipwayError("corrupt", `the layer's content has the diff ID ${facts.diffId}, expected ${job.diffId}`);
  }
  return facts;
}

export function describeBelow(view: MergedView, path: string): DirEntry | undefined {
  const entry = view.lstat(`/${path}`);
  if (entry?.kind !== "dir") return undefined;
  const { mode, uid, gid, mtime } = entry;
  const xattrs = view.xattrs(entry);
  return { kind: "dir", path, mode, uid, gid, mtime, ...(xattrs.size > 0 && { xattrs }) };
}

async function readLayer(file: TarFile, reader: LayerReader, checkpoint: Checkpoint): Promise<TarFacts> {
  const hash = createHash("sha256");
  const parser = new TarParser(reader);
  let tarSize = 0;
  try {
    await readExpanded(file.path, file.compression, (bytes) => {
      checkpoint();
      hash.update(bytes);
      tarSize += bytes.length;
      parser.push(bytes);
    });
    parser.end();
    return { ...reader.finish(), diffId: `sha256:${hash.digest("hex")}` as DiffId, tarSize };
  } catch (error) {
    reader.abandon();
    throw error;
  }
}

export function writeEntries(job: EntriesJob, input: readonly LayerEntry[], checkpoint: Checkpoint): EntriesResult {
  const entries = normalizeEntries(input, () => undefined);
  const spans: [string, number, number][] | undefined = job.remember ? [] : undefined;
  const options = {
    userxattr: job.userxattr,
    openBlob: (digest: Digest) => openSync(`${job.blobs}/${digestAlgorithm(digest)}/${digestHex(digest)}`, "r"),
    ...(spans && { onFile: (path: string, offset: number, size: number) => void spans.push([path, offset, size]) }),
  };
  if (job.form === "tree") return buildTree(job.target, entries, options);
  const fd = openSync(job.target, "wx", 0o644);
  try {
    const sink = new TarSink({ write: (bytes) => writeFully(fd, bytes) });
    const summary = writeTar(checked(entries, checkpoint), sink, options);
    return spans ? { ...summary, spans } : summary;
  } finally {
    closeSync(fd);
  }
}

function writeTreeTar(tree: HashTreeJob, target: string, checkpoint: Checkpoint): TarSummary {
  const fd = openSync(target, "wx", 0o644);
  try {
    return hashTree(tree, checkpoint, new TarSink({ write: (bytes) => writeFully(fd, bytes) }));
  } finally {
    closeSync(fd);
  }
}

/** Where each file's content lies in an uncompressed tar. Files with holes are left out: their bytes are not in one piece. */
export function indexTar(path: string, checkpoint: Checkpoint): FileSpans {
  const spans: [string, number, number][] = [];
  const window = new Uint8Array(1024 * 1024);
  let start = 0;
  let current: { name: string; size: number; offset: number; stored: number } | undefined;
  const parser = new TarParser({
    entry: (header) => {
      current = header.type === "file" ? { name: header.name, size: header.size, offset: -1, stored: 0 } : undefined;
    },
    data: (bytes) => {
      if (current === undefined) return;
      if (current.offset < 0) current.offset = start + bytes.byteOffset - window.byteOffset;
      current.stored += bytes.length;
    },
    hole: () => {
      current = undefined;
    },
    entryEnd: () => {
      if (current !== undefined && current.stored === current.size) {
        spans.push([current.name, Math.max(current.offset, 0), current.size]);
      }
    },
  });
  const fd = openSync(path, "r");
  try {
    for (let count = readSync(fd, window); count > 0; count = readSync(fd, window)) {
      checkpoint();
      parser.push(window.subarray(0, count));
      start += count;
    }
    parser.end();
  } finally {
    closeSync(fd);
  }
  return spans;
}

function syncFileSystem(path: string): void {
  const fd = openSync(path, "r");
  try {
    syncfs(fd);
  } finally {
    closeSync(fd);
  }
}

export function verifyFile(path: string, digest: Digest, checkpoint: Checkpoint): boolean {
  const hash = createHash(digestAlgorithm(digest));
  const buffer = new Uint8Array(1024 * 1024);
  const fd = openSync(path, "r");
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      checkpoint();
      hash.update(buffer.subarray(0, count));
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex") === digestHex(digest);
}
