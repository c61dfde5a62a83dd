import type { Database } from "bun:sqlite";
import type {
  ChainId,
  Descriptor,
  DiffId,
  Digest,
  ImageConfig,
  ImageId,
  Manifest,
  Platform,
  Reference,
} from "@slipway/oci";

/**
 * The store's life cycle in one page.
 *
 * - A **blob** is immutable content named by its digest. It is *ingested* (bytes arrive, resumable under a key), then
 *   *committed* (digest and size checked, fsync, rename, row), then read any number of times.
 * - A **layer** is a difference between two root file systems, named by chain ID. It has two forms, a **tree** that
 *   overlayfs can mount and a **tar** blob; at least one exists, the other is made when first needed. Layers with the
 *   same diff ID share one tree and one tar whatever lies below them, so *stacking* a known layer on another parent
 *   costs a row and no file. (A tree that depends on its parent, through a hard link into it or an implied parent
 *   directory, is marked and not shared.)
 * - A **writable** is an upper and a work directory on top of a layer. It is *prepared*, mounted by whoever needs it,
 *   then *committed* (the upper directory becomes the layer's tree by rename) or *discarded*.
 * - An **image** is a config, the layers that it names, optionally the manifest it came with, and any number of names.
 * - A **restorable** is an image or a volume that was pruned and can be brought back until its time is over. What it holds
 *   is a root meanwhile.
 * - A **lease** holds all of these from the moment they are made until something else (a name, a container, a cache
 *   record) refers to them. What nothing holds is collected.
 */
export interface Store {
  /** Absolute path of the data root. */
  readonly root: string;
  /** The one database. Other packages keep their tables in it through a migration set of their own. */
  readonly database: Database;
  readonly paths: StorePaths;
  /** Overlay mounts of our trees need `userxattr` (the process may not write `trusted.*` attributes). */
  readonly userxattr: boolean;
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly arrivals: ArrivalStore;
  readonly images: ImageStore;
  readonly leases: LeaseStore;
  readonly restorables: RestorableStore;
  /** Tells the collector what else is in use; called inside each collection. */
  addRoots(owner: string, roots: () => Iterable<Root>): void;
  /** Mark and sweep. Online; removes nothing that is leased, named or a root. `plan` only reports. */
  collect(options?: CollectOptions): Promise<CollectionReport>;
  usage(): StoreUsage;
  /** Waits until everything that has been stored so far would survive a power cut. Nothing else needs to wait for it. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Every path below the data root that more than one package needs. All absolute. */
export interface StorePaths {
  readonly root: string;
  /** An OCI image layout: `blobs/`, `oci-layout`, `index.json`. */
  readonly content: string;
  readonly ingest: string;
  readonly layers: string;
  readonly writable: string;
  /** What is renamed to here is deleted in the background, and at the next start. Same file system as all the rest. */
  readonly trash: string;
  /** Volumes that were pruned and can be brought back: `ID/NAME`. */
  readonly restorable: string;
  readonly containers: string;
  readonly volumes: string;
  readonly build: string;
  readonly database: string;
  readonly lock: string;
}

export type Root =
  | { readonly kind: "blob"; readonly digest: Digest; readonly reason: string }
  | { readonly kind: "layer"; readonly chainId: ChainId; readonly reason: string }
  | { readonly kind: "image"; readonly id: ImageId; readonly reason: string };

export type CollectOptions =
  | {
      readonly plan?: false;
      /** Also what pulls that broke off have left to go on with. */
      readonly unfinished?: boolean;
      readonly signal?: AbortSignal;
    }
  | { readonly plan: true; readonly without?: Absent; readonly signal?: AbortSignal };

/** What a plan takes as gone already. */
export interface Absent {
  readonly images: ReadonlySet<ImageId>;
  /** IDs of writables. */
  readonly writables: ReadonlySet<string>;
  /** What these owners would hold, in place of what they hold. */
  readonly roots: ReadonlyMap<string, readonly Root[]>;
  /** Also what pulls that broke off have left. */
  readonly unfinished?: boolean;
}

export interface CollectionReport {
  readonly removed: readonly {
    readonly kind: "blob" | "layer" | "image";
    readonly id: string;
    readonly bytes: number;
  }[];
  readonly kept: readonly {
    readonly kind: "blob" | "layer" | "image";
    readonly id: string;
    readonly reasons: readonly string[];
  }[];
  readonly freedBytes: number;
}

export interface StoreUsage {
  /** Bytes of all layers, each counted once. */
  readonly layerBytes: number;
  readonly blobBytes: number;
}

export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Ends the lease; again does nothing. What only it held may be collected from now on. */
  release(): void;
}

export interface LeaseStore {
  /** A lease of this process: it ends with it, also when it crashes. `label` explains it in reports. */
  open(label: string): Lease;
}

// What was pruned -----------------------------------------------------------------------------------------------------

/** Times in milliseconds since the epoch. */
export interface Restorable {
  readonly id: string;
  /** What was taken together. */
  readonly batch: string;
  readonly kind: "image" | "volume";
  /** An image's ID, or a volume's name. */
  readonly name: string;
  /** JSON; of a volume what its owner gave. */
  readonly record: string;
  /** Of a volume's files; what an image takes depends on what else there is, see `weigh`. */
  readonly bytes: number;
  readonly takenAt: number;
  readonly until: number;
}

export type TakeStamp = Pick<Restorable, "batch" | "takenAt" | "until">;

export interface TakenVolume {
  readonly name: string;
  readonly bytes: number;
  readonly record: string;
  /** Takes the owner's row away; called inside the transaction. */
  readonly forget: () => void;
}

/** The owner's row of a volume; both are called inside transactions. */
export interface VolumeRows {
  readonly remember: (record: string) => void;
  /** When the directory could not be moved. */
  readonly forget: () => void;
}

export interface RestoredImage {
  readonly id: ImageId;
  /** Those that it has again. */
  readonly names: readonly Reference[];
  /** Those that another image has by now. */
  readonly taken: readonly Reference[];
}

export interface RestorableStore {
  /** Oldest first. */
  list(): Restorable[];
  /** Instead of `images.remove`. Throws `not-found`. */
  takeImage(id: ImageId, stamp: TakeStamp): Restorable;
  /** Throws `not-found`, and `corrupt` when content was lost. */
  restoreImage(id: string): RestoredImage;
  /** The directory `volumes/NAME`, on which nothing is mounted. Throws what `rename` does. */
  takeVolume(volume: TakenVolume, stamp: TakeStamp): Restorable;
  /** Makes it `volumes/NAME`, which must be free. */
  restoreVolume(id: string, name: string, rows: VolumeRows): void;
  /** For good. What images held goes with the next collection. */
  drop(ids: readonly string[]): void;
  /** Bytes that each of these keeps and the ones before it do not, if all of `absent` and all restorables were gone. */
  weigh(images: readonly (Image | Restorable)[], absent: Absent): number[];
  /** After a start, before volumes are: makes rows and directories agree, and forgets what was lost. */
  recover(hasVolume: (name: string) => boolean): void;
}

// Blobs ---------------------------------------------------------------------------------------------------------------

export interface BlobInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export interface BlobStore {
  stat(digest: Digest): BlobInfo | undefined;
  /** Absolute path of a committed blob's file, for sendfile. Throws `not-found`. */
  path(digest: Digest): string;
  /** The content; the stream fails at its end with `corrupt` when digest or size differ. Throws `not-found`. */
  read(digest: Digest): ReadableStream<Uint8Array>;
  /** A document that fits in memory, verified. Throws `exhausted` above `limit` bytes (8 MiB). */
  readAll(digest: Digest, limit?: number): Promise<Uint8Array>;
  /** Stores bytes that are in memory. */
  put(bytes: Uint8Array, lease: Lease): Promise<BlobInfo>;
  /** Begins or resumes an ingest. Two writers with one key: the second throws `conflict`. */
  ingest(options: IngestOptions): Promise<BlobWriter>;
}

export interface IngestOptions {
  /** Names the unfinished content so that a later attempt can go on: usually the expected digest. */
  readonly key: string;
  readonly lease: Lease;
  readonly expectedDigest?: Digest;
  /** Bytes. */
  readonly expectedSize?: number;
}

export interface BlobWriter {
  /** Bytes that are already there from an earlier attempt, plus those written. */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Throws `corrupt`, and forgets the content, when digest or size are not as expected. */
  commit(): Promise<BlobInfo>;
  /** Keeps what arrived, to be resumed under the same key. */
  suspend(): Promise<void>;
  /** Throws what arrived away. */
  abort(): Promise<void>;
}

// Layers --------------------------------------------------------------------------------------------------------------

export interface Layer {
  readonly chainId: ChainId;
  readonly parent?: ChainId;
  readonly diffId: DiffId;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
  /** Bytes of the files in it, as Docker counts an image's size. */
  readonly size: number;
}

export interface LayerStore {
  get(chainId: ChainId): Layer | undefined;
  /** The layers of a stack, bottom first. Throws `not-found`. */
  stack(chainId: ChainId): Layer[];
  /** The tree directories of a stack, topmost first, as overlayfs wants its lowers. Makes missing trees. */
  lowers(chainId: ChainId, signal?: AbortSignal): Promise<string[]>;
  /**
   * Where the content of each file lies in the layer's uncompressed tar blob, by entry path, for
   * `FileContent {from: "blob"}`. Undefined when the layer has no such blob. The blob's digest is the diff ID.
   */
  tarIndex(chainId: ChainId, signal?: AbortSignal): Promise<TarIndex | undefined>;
  /** The merged root file system, read without mounting anything. Makes missing trees. `undefined` is an empty root. */
  view(chainId: ChainId | undefined, signal?: AbortSignal): Promise<RootView>;
  /** What differs between two root file systems, parents before what is in them. Makes missing trees. */
  compare(before: ChainId | undefined, after: ChainId | undefined, signal?: AbortSignal): AsyncIterable<RootChange>;

  prepare(parent: ChainId | undefined, lease: Lease, options?: PrepareOptions): Promise<WritableLayer>;
  /** A writable that was prepared with `persistent`, also by an earlier process. */
  writable(id: string): WritableLayer | undefined;
  /** All persistent writables: the owner discards, after its start, those that it knows nothing of. */
  writables(): WritableLayer[];
  /** The upper directory becomes a layer. It must be unmounted. An empty upper still gives a layer (an empty tar). */
  commit(writable: WritableLayer, lease: Lease, options?: CommitOptions): Promise<Layer>;
  discard(writable: WritableLayer): Promise<void>;
  /**
   * What the upper directory holds, in canonical order, for `fromEntries`: a copy of a writable that stays in use. Nothing
   * may change it until the copy is made. Contents are files of the host.
   */
  scan(writable: WritableLayer): Promise<LayerEntry[]>;

  /** A layer from a tar, compressed or not, whose blob is in the store. Checks `diffId` if it is given. */
  fromTar(options: FromTarOptions): Promise<Layer>;
  /** A layer from entries, in any order: they are sorted, hashed and stored in one pass. */
  fromEntries(options: FromEntriesOptions): Promise<Layer>;
  /** The layer `top` on another parent: a row, no file. Undefined when its tree depends on the parent it was made on. */
  restack(parent: ChainId | undefined, top: ChainId, lease: Lease): Layer | undefined;
  /** The uncompressed canonical tar of one layer: `size` bytes whose digest is the diff ID. */
  openTar(chainId: ChainId): Promise<{ readonly size: number; readonly stream: ReadableStream<Uint8Array> }>;
}

/**
 * Layers that come from elsewhere as blobs. Each arrives by itself, in any order, and becomes tree and tar while its
 * bytes come in; when all of an image have arrived they are stacked. One that has arrived stays for a day, so that a pull
 * that broke off finds it again.
 */
export interface ArrivalStore {
  /** Whether a layer of this diff ID is in the store; if so the lease holds it. */
  has(diffId: DiffId, lease: Lease): boolean;
  /** Begins an arrival, or goes on with one that was suspended or died. Throws `conflict` while another has the same digest. */
  receive(options: ReceiveOptions): Promise<ArrivingLayer>;
  /** Puts layers that have arrived on each other, bottom first. Throws `not-found` when one has not. */
  stack(diffIds: readonly DiffId[], lease: Lease, signal?: AbortSignal): Promise<ChainId | undefined>;
  /** They belong to an image now: from here on they stay as long as it does. */
  settle(diffIds: readonly DiffId[]): void;
}

export interface ReceiveOptions {
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  readonly diffId: DiffId;
  readonly lease: Lease;
  readonly signal?: AbortSignal;
}

export interface ArrivingLayer {
  /** Bytes that are there, from earlier attempts and from `write`. */
  readonly offset: number;
  /**
   * The next bytes; their memory is taken. Resolves when there is room for more. Throws `corrupt` for what is no layer or
   * not this one: then what arrived is gone.
   */
  write(chunk: Uint8Array): Promise<void>;
  /** The layer is whole and in the store. Throws `corrupt`, and forgets what arrived, when it is not what was expected. */
  finish(): Promise<void>;
  /** Keeps what arrived. */
  suspend(): Promise<void>;
  /** Throws what arrived away. */
  abort(): Promise<void>;
}

/** An upper and a work directory of one file system, and the lowers below them. */
export interface WritableLayer {
  readonly id: string;
  readonly parent?: ChainId;
  readonly upper: string;
  readonly work: string;
  /** An empty directory to mount the overlay on. */
  readonly merged: string;
  /** Topmost first. */
  readonly lowers: readonly string[];
}

export interface PrepareOptions {
  /**
   * It outlives the process and the lease (a container's root), and holds its parent, until it is committed or
   * discarded. Without it, it is undone with whatever is mounted below it when the store is opened next.
   */
  readonly persistent?: boolean;
}

/** Bytes from `offset` in the tar blob `digest`. */
export interface TarIndex {
  readonly digest: Digest;
  readonly files: ReadonlyMap<string, { readonly offset: number; readonly size: number }>;
}

export interface CommitOptions {
  /** Times later than this become this (SOURCE_DATE_EPOCH), in nanoseconds. */
  readonly clampMtime?: bigint;
  readonly signal?: AbortSignal;
}

export interface FromTarOptions {
  readonly parent?: ChainId;
  readonly blob: Digest;
  readonly diffId?: DiffId;
  readonly lease: Lease;
  readonly signal?: AbortSignal;
}

export interface FromEntriesOptions {
  readonly parent?: ChainId;
  readonly entries: Iterable<LayerEntry> | AsyncIterable<LayerEntry>;
  /** `tar` writes one file quickly; `tree` can share files of other trees by hard link and is ready to mount. */
  readonly form: "tar" | "tree";
  /** Keep the entries' offsets in memory, so that the first `tarIndex` of this layer costs nothing (form `tar`). */
  readonly remember?: boolean;
  readonly lease: Lease;
  readonly signal?: AbortSignal;
}

interface EntryMetadata {
  /** Relative, normal: no leading slash, no `.` or `..`, no trailing slash. The root itself is "". */
  readonly path: string;
  /** Octal 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

export type LayerEntry =
  | (EntryMetadata & { readonly kind: "dir"; readonly opaque?: boolean })
  | (EntryMetadata & { readonly kind: "file"; readonly content: FileContent })
  | (EntryMetadata & { readonly kind: "symlink"; readonly target: string })
  /** A hard link to another entry of the same layer. */
  | (EntryMetadata & { readonly kind: "link"; readonly target: string })
  | (EntryMetadata & { readonly kind: "char" | "block"; readonly major: number; readonly minor: number })
  | (EntryMetadata & { readonly kind: "fifo" })
  /** The lower entry of this path is gone. Only `path` counts. */
  | { readonly kind: "whiteout"; readonly path: string };

export type FileContent =
  | { readonly from: "bytes"; readonly bytes: Uint8Array }
  /** A file of the host that may change later: it is copied now. Throws `conflict` if its size is not `size` any more. */
  | { readonly from: "host"; readonly path: string; readonly size: number }
  /** A file inside one of our trees, immutable: with form `tree` and equal metadata it is hard-linked. */
  | { readonly from: "tree"; readonly path: string; readonly size: number }
  /** A range of a blob of ours, such as a file in an earlier layer's tar (see `tarIndex`). */
  | { readonly from: "blob"; readonly digest: Digest; readonly offset: number; readonly size: number };

export interface RootEntry {
  readonly kind: "dir" | "file" | "symlink" | "char" | "block" | "fifo" | "socket";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: bigint;
  readonly ino: bigint;
  readonly nlink: number;
  readonly major: number;
  readonly minor: number;
  /** Where the entry lies on the host: below a tree. Only for reading, only by `lstat`-like calls that follow no link. */
  readonly hostPath: string;
}

/** Paths are absolute inside the root and never leave it: `..` above the root is the root. */
export interface RootView {
  /** The entry at a path whose last component is not followed; links on the way are. */
  lstat(path: string): RootEntry | undefined;
  /** The path with every symbolic link followed, also the last if `follow`; what does not exist is kept as written. Throws `invalid` at 40 links. */
  resolve(path: string, follow?: boolean): string;
  readlink(path: string): string;
  /** Names in a directory, merged, sorted bytewise. */
  readdir(path: string): string[];
  /** A small file, following links inside the root, or undefined. Throws `exhausted` above `limit` bytes (1 MiB). */
  readFile(path: string, limit?: number): Uint8Array | undefined;
  xattrs(entry: RootEntry): ReadonlyMap<string, Uint8Array>;
}

/** A difference between two root file systems. */
export interface RootChange {
  readonly path: string;
  readonly kind: "added" | "changed" | "removed";
  /** What it is now, or what it was. */
  readonly entry: RootEntry["kind"];
  /** Of what changed: which of its sides. Times never count. */
  readonly what: readonly ("kind" | "content" | "mode" | "owner")[];
  /** Bytes of the file; 0 for everything else. */
  readonly before: number;
  readonly after: number;
}

// Images --------------------------------------------------------------------------------------------------------------

export interface Image {
  readonly id: ImageId;
  readonly config: ImageConfig;
  /** Bottom first; chain IDs of the config's diff IDs. */
  readonly layers: readonly ChainId[];
  /** What was pulled, loaded or made: a manifest's or an index's descriptor. */
  readonly target: Descriptor;
  readonly manifest: Manifest;
  /** Digest of the manifest's bytes, which are a blob; differs from `target` if that is an index. */
  readonly manifestDigest: Digest;
  /** Tagged names, complete, sorted. */
  readonly names: readonly Reference[];
  /** `name@digest` under which it was pulled or pushed. */
  readonly repoDigests: readonly Reference[];
  /** Bytes, all layers together, as Docker shows it. */
  readonly size: number;
  /** When the record was made here, milliseconds. */
  readonly storedAt: number;
}

export interface ImageStore {
  /** Stores config and manifest, then the record, then the names, in one transaction. Layers must exist. */
  put(options: PutImageOptions): Promise<Image>;
  get(id: ImageId): Image | undefined;
  /** By name (`:latest` implied), by `name@digest`, by ID or a unique beginning of it. Throws `conflict` when ambiguous. */
  find(nameOrId: string): Image | undefined;
  /** As `find`, but throws `not-found` as Docker words it, with the nearest name as a hint. */
  resolve(nameOrId: string, platform?: Platform): Image;
  list(): Image[];
  tag(id: ImageId, name: Reference): void;
  /** Removes one name; the image stays, perhaps dangling. Throws `not-found`. */
  untag(name: Reference, image?: ImageId): ImageId;
  /** Removes the record and all its names. Its layers go with the next collection. */
  remove(id: ImageId): void;
  /**
   * Reads a `docker save` archive (old and new form) or an OCI layout from a tar stream. Hostile input is refused with a
   * clear error before anything is named.
   */
  load(archive: ReadableStream<Uint8Array>, options?: LoadOptions): Promise<LoadedImage[]>;
  /** Makes the missing tar blobs of an image, so that `content/index.json` lists it and OCI tools can read it. */
  materialize(id: ImageId, signal?: AbortSignal): Promise<void>;
  /** One tar that is a Docker archive (manifest.json) and an OCI layout at once; `oci` leaves the Docker parts out. */
  save(nameOrIds: readonly string[], options?: SaveOptions): Promise<ReadableStream<Uint8Array>>;
}

export interface PutImageOptions {
  readonly config: ImageConfig;
  /** Config bytes as they were pulled or loaded, kept byte for byte; encoded from `config` when absent. */
  readonly configBytes?: Uint8Array;
  /** Manifest bytes likewise; made from config and uncompressed layers when absent. */
  readonly manifestBytes?: Uint8Array;
  readonly target?: Descriptor;
  readonly names: readonly Reference[];
  readonly lease: Lease;
}

export interface LoadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly id: string; readonly current: number; readonly total: number }) => void;
}

export interface LoadedImage {
  readonly image: Image;
  readonly names: readonly Reference[];
}

export interface SaveOptions {
  readonly format?: "docker" | "oci";
  readonly signal?: AbortSignal;
}
