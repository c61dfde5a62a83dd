import { unlinkSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { type ChainId, chainIdOf, type DiffId, type Digest } from "@slipway/oci";
import type { Blobs } from "../blobs.ts";
import type {
  CommitOptions,
  FromEntriesOptions,
  FromTarOptions,
  Layer,
  LayerEntry,
  LayerStore,
  Lease,
  PrepareOptions,
  RootView,
  StorePaths,
  TarIndex,
  WritableLayer,
} from "../faces.ts";
import { type HeldLease, heldLease } from "../leases.ts";
import { treePath, writablePaths } from "../paths.ts";
import { sniffFile } from "../workers/decompress.ts";
import {
  describeBelow,
  type EntriesJob,
  type EntriesResult,
  type FileSpans,
  type TarFacts,
  writeEntries,
} from "../workers/jobs.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import { type TarSummary, writeTar } from "./canonical-tar.ts";
import { compareRoots } from "./compare-roots.ts";
import { type DirEntry, parentOf } from "./layer-entries.ts";
import { type LayerTable, layerOf, type NewDiff, rootOf } from "./layer-table.ts";
import { openLayerTar, treeJob } from "./layer-tar.ts";
import type { LayerTrees } from "./layer-trees.ts";
import { TarSink } from "./tar-sink.ts";
import { sameXattrs, scanRoot, scanTree } from "./tree-scan.ts";
import type { Writables } from "./writables.ts";

/** What is smaller is done in place: handing it to a worker would take longer than doing it. */
const INLINE = { entries: 200, bytes: 2 * 1024 * 1024 } as const;
/** Layers whose entry offsets are kept in memory. */
const MOST_REMEMBERED = 4;

export interface LayersOptions {
  readonly paths: StorePaths;
  readonly userxattr: boolean;
  readonly table: LayerTable;
  readonly blobs: Blobs;
  readonly trees: LayerTrees;
  readonly writables: Writables;
  readonly pool: WorkerPool;
}

/** Layers in their two forms. The files of a layer are always in place before its row is. */
export class Layers implements LayerStore {
  readonly #paths: StorePaths;
  readonly #userxattr: boolean;
  readonly #table: LayerTable;
  readonly #blobs: Blobs;
  readonly #trees: LayerTrees;
  readonly #writables: Writables;
  readonly #pool: WorkerPool;
  readonly #remembered = new Map<DiffId, TarIndex>();

  constructor(options: LayersOptions) {
    this.#paths = options.paths;
    this.#userxattr = options.userxattr;
    this.#table = options.table;
    this.#blobs = options.blobs;
    this.#trees = options.trees;
    this.#writables = options.writables;
    this.#pool = options.pool;
  }

  get(chainId: ChainId): Layer | undefined {
    const row = this.#table.get(chainId);
    return row && layerOf(row);
  }

  stack(chainId: ChainId): Layer[] {
    return this.#table.stack(chainId).map(layerOf);
  }

  async lowers(chainId: ChainId, signal?: AbortSignal): Promise<string[]> {
    return this.#trees.lowersOf(await this.#trees.complete(chainId, signal));
  }

  view(chainId: ChainId | undefined, signal?: AbortSignal): Promise<RootView> {
    return this.#trees.view(chainId, signal);
  }

  async *compare(before: ChainId | undefined, after: ChainId | undefined, signal?: AbortSignal) {
    const views = await Promise.all([before, after].map((chainId) => this.#trees.view(chainId, signal)));
    const [old, now] = views;
    if (old !== undefined && now !== undefined) yield* compareRoots(old, now, signal);
  }

  async prepare(parent: ChainId | undefined, lease: Lease, options: PrepareOptions = {}): Promise<WritableLayer> {
    this.#hold(parent, lease);
    const rows = parent === undefined ? [] : await this.#trees.complete(parent);
    const made = this.#writables.make(parent, rootOf(rows), options.persistent === true);
    const { id, upper, work, merged } = made;
    return { id, ...(parent !== undefined && { parent }), upper, work, merged, lowers: this.#trees.lowersOf(rows) };
  }

  writable(id: string): WritableLayer | undefined {
    const row = this.#writables.row(id);
    if (row === undefined) return undefined;
    const { upper, work, merged } = writablePaths(this.#paths, id);
    const { parent } = row;
    // The trees were there when it was prepared, and it holds them since.
    const lowers = parent === null ? [] : this.#trees.lowersOf(this.#table.stack(parent));
    return { id, ...(parent !== null && { parent }), upper, work, merged, lowers };
  }

  writables(): WritableLayer[] {
    return this.#writables.rows().flatMap(({ id }) => this.writable(id) ?? []);
  }

  async commit(writable: WritableLayer, lease: Lease, options: CommitOptions = {}): Promise<Layer> {
    const held = heldLease(lease);
    this.#writables.check(writable);
    const { parent, upper } = writable;
    const root = this.#changedRoot(writable, options.clampMtime);
    const summary = await this.#hashTree(upper, root, options);
    held.layers.add(chainIdOf(parent, summary.diffId));
    const layer = this.#trees.take(parent, { ...summary, bound: false, root }, upper);
    this.#writables.remove(writable.id);
    return layer;
  }

  async discard(writable: WritableLayer): Promise<void> {
    this.#writables.remove(writable.id);
  }

  async scan(writable: WritableLayer): Promise<LayerEntry[]> {
    const root = this.#changedRoot(writable, undefined);
    const entries = scanTree(writable.upper, { userxattr: this.#userxattr, ...(root && { root }) });
    // Not `tree`: its files would be shared by hard link with a container that goes on writing to them.
    return entries.map((entry) =>
      entry.kind === "file" && entry.content.from === "tree"
        ? { ...entry, content: { ...entry.content, from: "host" } }
        : entry,
    );
  }

  async fromTar(options: FromTarOptions): Promise<Layer> {
    this.#hold(options.parent, options.lease).blobs.add(options.blob);
    const path = this.#blobs.path(options.blob);
    const compression = sniffFile(path);
    const facts = await this.#pool.run({ op: "inspect", path, compression }, options.signal);
    if (options.diffId !== undefined && facts.diffId !== options.diffId) {
      throw new SlipwayError(
        "corrupt",
        `blob ${options.blob} has the diff ID ${facts.diffId}, expected ${options.diffId}`,
      );
    }
    const layer = this.addTar(options.parent, facts, { digest: options.blob, compression }, options.lease);
    // Whether the files that hard links point to exist in the layers below shows only when they are made.
    if (facts.externalLinks > 0) await this.#trees.complete(layer.chainId, options.signal);
    return layer;
  }

  /** A layer from a tar blob that has been inspected. */
  addTar(parent: ChainId | undefined, facts: TarFacts, tar: NonNullable<NewDiff["tar"]>, lease: Lease): Layer {
    heldLease(lease).layers.add(chainIdOf(parent, facts.diffId));
    return this.#table.add(parent, { ...facts, tar });
  }

  async fromEntries(options: FromEntriesOptions): Promise<Layer> {
    const { parent, form, signal } = options;
    const held = this.#hold(parent, options.lease);
    const entries = await collect(options.entries, signal);
    for (const digest of blobsIn(entries)) {
      this.#blobs.path(digest);
      held.blobs.add(digest);
    }
    entries.push(...(await this.#missingParents(entries, parent, signal)));
    const root = entries.find((entry): entry is DirEntry => entry.kind === "dir" && entry.path === "");
    const job = { op: "entries", form, userxattr: this.#userxattr, blobs: `${this.#paths.content}/blobs` } as const;
    const remember = options.remember === true;
    if (form === "tree") {
      const home = this.#trees.newHome();
      const result = await this.#writeEntries({ ...job, target: home.diff, remember: false }, entries, signal).catch(
        (error) => {
          this.#trees.discardHome(home.directory);
          throw error;
        },
      );
      held.layers.add(chainIdOf(parent, result.diffId));
      return this.#trees.adopt(parent, { ...result, bound: false, root }, home.directory);
    }
    const target = this.#blobs.temporaryPath();
    const result = await this.#writeEntries({ ...job, target, remember }, entries, signal).catch((error) => {
      unlinkQuietly(target);
      throw error;
    });
    held.layers.add(chainIdOf(parent, result.diffId));
    held.blobs.add(result.diffId);
    this.#blobs.adopt(target, { digest: result.diffId, size: result.tarSize });
    if (result.spans) this.#remember(result.diffId, result.spans);
    return this.#table.add(parent, {
      ...result,
      bound: false,
      root,
      tar: { digest: result.diffId, compression: "none" },
    });
  }

  restack(parent: ChainId | undefined, top: ChainId, lease: Lease): Layer | undefined {
    const held = this.#hold(parent, lease);
    const row = this.#table.require(top);
    if (row.bound !== 0 && (row.parent ?? undefined) !== parent) return undefined;
    const chainId = chainIdOf(parent, row.diffId);
    held.layers.add(chainId);
    this.#table.addLayer(chainId, parent, row.diffId);
    return layerOf(this.#table.require(chainId));
  }

  async openTar(chainId: ChainId): Promise<{ readonly size: number; readonly stream: ReadableStream<Uint8Array> }> {
    const row = this.#table.require(chainId);
    const sources = { paths: this.#paths, blobs: this.#blobs, userxattr: this.#userxattr, pool: this.#pool };
    return { size: row.tarSize, stream: openLayerTar(row, sources) };
  }

  /** Makes the uncompressed tar blob of a layer that has only a tree. */
  async makeTar(chainId: ChainId, lease: Lease, signal?: AbortSignal): Promise<void> {
    const row = this.#table.require(chainId);
    const { diffId, directory } = row;
    heldLease(lease).layers.add(chainId);
    if (row.tar === diffId || directory === null || row.canonical !== 1) return;
    const target = this.#blobs.temporaryPath();
    try {
      const tree = treeJob(row, treePath(this.#paths, directory), this.#userxattr);
      const made = await this.#pool.run({ op: "write-tar", tree, target }, signal);
      if (made.diffId !== diffId) throw new SlipwayError("corrupt", `the tree of layer ${chainId} is damaged`);
      this.#table.require(chainId);
      this.#blobs.adopt(target, { digest: diffId, size: made.tarSize });
      this.#table.setTar(diffId, diffId, "none");
    } catch (error) {
      unlinkQuietly(target);
      throw error;
    }
  }

  async tarIndex(chainId: ChainId, signal?: AbortSignal): Promise<TarIndex | undefined> {
    const { diffId, tar } = this.#table.require(chainId);
    if (tar !== diffId) return undefined;
    const remembered = this.#remembered.get(diffId);
    if (remembered !== undefined) return remembered;
    return indexOf(diffId, await this.#pool.run({ op: "index", path: this.#blobs.path(tar) }, signal));
  }

  /** The layer that another is made on must stay until that has a row. Throws `not-found`. */
  #hold(parent: ChainId | undefined, lease: Lease): HeldLease {
    const held = heldLease(lease);
    if (parent === undefined) return held;
    this.#table.require(parent);
    held.layers.add(parent);
    return held;
  }

  /** The root directory's entry, if what is in the upper directory's place differs from what lies below it. */
  #changedRoot({ parent, upper }: WritableLayer, clampMtime: bigint | undefined): DirEntry | undefined {
    const below = rootOf(parent === undefined ? [] : this.#table.stack(parent));
    const now = scanRoot(upper);
    const same = now.mode === below.mode && now.uid === below.uid && now.gid === below.gid;
    if (same && sameXattrs(now.xattrs, below.xattrs)) return undefined;
    return clampMtime !== undefined && now.mtime > clampMtime ? { ...now, mtime: clampMtime } : now;
  }

  async #hashTree(root: string, rootEntry: DirEntry | undefined, options: CommitOptions): Promise<TarSummary> {
    const { clampMtime, signal } = options;
    const clamp = clampMtime === undefined ? {} : { clampMtime };
    const userxattr = this.#userxattr;
    const few = scanTree(root, { userxattr, ...clamp, ...(rootEntry && { root: rootEntry }), budget: INLINE });
    if (few !== undefined) return writeTar(few, new TarSink());
    return this.#pool.hashTree({ op: "hash-tree", root, userxattr, ...clamp, ...(rootEntry && { rootEntry }) }, signal);
  }

  async #writeEntries(
    job: EntriesJob,
    entries: readonly LayerEntry[],
    signal: AbortSignal | undefined,
  ): Promise<EntriesResult> {
    if (isSmall(entries)) return writeEntries(job, entries, () => signal?.throwIfAborted());
    return this.#pool.runEntries(job, entries, signal);
  }

  /** Parent directories that no entry describes, as the layers below have them. */
  async #missingParents(
    entries: readonly LayerEntry[],
    parent: ChainId | undefined,
    signal: AbortSignal | undefined,
  ): Promise<DirEntry[]> {
    if (parent === undefined) return [];
    const known = new Set<string>([""]);
    for (const entry of entries) if (entry.kind === "dir") known.add(entry.path);
    const missing = new Set<string>();
    for (const { path } of entries) {
      for (let above = parentOf(path); !known.has(above); above = parentOf(above)) {
        missing.add(above);
        known.add(above);
      }
    }
    if (missing.size === 0) return [];
    const view = await this.#trees.view(parent, signal);
    return [...missing].flatMap((path) => describeBelow(view, path) ?? []);
  }

  #remember(diffId: DiffId, spans: FileSpans): void {
    this.#remembered.delete(diffId);
    this.#remembered.set(diffId, indexOf(diffId, spans));
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= MOST_REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
  }
}

function indexOf(diffId: DiffId, spans: FileSpans): TarIndex {
  return { digest: diffId, files: new Map(spans.map(([path, offset, size]) => [path, { offset, size }])) };
}

async function collect(source: FromEntriesOptions["entries"], signal: AbortSignal | undefined): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = [];
  if (Symbol.iterator in source) {
    for (const entry of source) entries.push(entry);
    return entries;
  }
  for await (const entry of source) {
    signal?.throwIfAborted();
    entries.push(entry);
  }
  return entries;
}

function blobsIn(entries: readonly LayerEntry[]): Set<Digest> {
  const digests = new Set<Digest>();
  for (const entry of entries) {
    if (entry.kind === "file" && entry.content.from === "blob") digests.add(entry.content.digest);
  }
  return digests;
}

function isSmall(entries: readonly LayerEntry[]): boolean {
  if (entries.length > INLINE.entries) return false;
  let bytes = 0;
  for (const entry of entries) {
    if (entry.kind !== "file") continue;
    bytes += entry.content.from === "bytes" ? entry.content.bytes.length : entry.content.size;
    if (bytes > INLINE.bytes) return false;
  }
  return true;
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It may not have been made; the failure that led here is the one to report.
  }
}
