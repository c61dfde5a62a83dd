import { Database } from "bun:sqlite";
import { mkdirSync, rmdirSync } from "node:fs";
import { errnoOf, type Logger, silentLogger } from "@slipway/base";
import { bootId, lsetxattr } from "@slipway/sys";
import { storeArchive } from "./archives/archive-load.ts";
import { saveArchive } from "./archives/archive-save.ts";
import { readArchive } from "./archives/archive-stream.ts";
import { Arrivals } from "./arrivals.ts";
import { Blobs } from "./blobs.ts";
import { Collector } from "./collect.ts";
import { DataLock } from "./data-lock.ts";
import { DiskSync } from "./disk-sync.ts";
import type {
  CollectionReport,
  CollectOptions,
  Image,
  LoadedImage,
  LoadOptions,
  Root,
  Store,
  StorePaths,
  StoreUsage,
} from "./faces.ts";
import { ImageTable } from "./images/image-table.ts";
import { Images } from "./images/images.ts";
import { RESTORABLE_MIGRATIONS } from "./images/restorable-schema.ts";
import { Restorables, TRASH_OWNER } from "./images/restorables.ts";
import { LayerTable } from "./layers/layer-table.ts";
import { LayerTrees } from "./layers/layer-trees.ts";
import { Layers } from "./layers/layers.ts";
import { OPAQUE_VALUE, overlayXattr } from "./layers/whiteout.ts";
import { Writables } from "./layers/writables.ts";
import { Leases } from "./leases.ts";
import { type MigrationSet, migrate } from "./migrations.ts";
import { OciLayout } from "./oci-layout.ts";
import { storeDirectories, storePaths } from "./paths.ts";
import { recover } from "./recovery.ts";
import { STORE_MIGRATIONS } from "./schema.ts";
import { Trash } from "./trash.ts";
import type { LoadJob } from "./workers/stream-jobs.ts";
import { WorkerPool } from "./workers/worker-pool.ts";

export interface OpenStoreOptions {
  /** The data root; made if it does not exist. */
  readonly root: string;
  readonly log?: Logger;
  /** Tables of other packages. */
  readonly migrations?: readonly MigrationSet[];
}

/** Opens a data root, alone, and makes it whole. Throws `conflict` if another process has it. */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  const paths = storePaths(options.root);
  mkdirSync(paths.root, { recursive: true, mode: 0o711 });
  const lock = await DataLock.acquire(paths.lock, paths.root);
  try {
    for (const directory of storeDirectories(paths)) mkdirSync(directory, { recursive: true, mode: 0o700 });
    const store = new OpenedStore(paths, lock, options);
    await store.recover();
    return store;
  } catch (error) {
    lock.release();
    throw error;
  }
}

class OpenedStore implements Store {
  readonly root: string;
  readonly paths: StorePaths;
  readonly database: Database;
  readonly userxattr: boolean;
  readonly leases = new Leases();
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly arrivals: Arrivals;
  readonly images: Images;
  readonly restorables: Restorables;
  readonly #lock: DataLock;
  readonly #log: Logger;
  readonly #boot = bootId();
  readonly #pool = new WorkerPool();
  readonly #arrivalPool = new WorkerPool();
  readonly #sync: DiskSync;
  readonly #trash: Trash;
  readonly #table: LayerTable;
  readonly #layout: OciLayout;
  readonly #collector: Collector;
  #closed = false;

  constructor(paths: StorePaths, lock: DataLock, options: OpenStoreOptions) {
    this.root = paths.root;
    this.paths = paths;
    this.#lock = lock;
    this.#log = options.log ?? silentLogger;
    this.database = openDatabase(paths.database);
    migrate(this.database, [STORE_MIGRATIONS, RESTORABLE_MIGRATIONS, ...(options.migrations ?? [])]);
    this.userxattr = !mayWriteTrusted(paths);
    this.#sync = new DiskSync(this.database, this.#boot, () => this.#pool.run({ op: "syncfs", path: paths.root }));
    this.#trash = new Trash(paths);
    this.blobs = new Blobs(this.database, paths, this.#sync);
    const table = new LayerTable(this.database, this.#sync);
    this.#table = table;
    const writables = new Writables(this.database, paths, this.#trash);
    const shared = { paths, userxattr: this.userxattr, table, blobs: this.blobs, pool: this.#pool };
    const trees = new LayerTrees({ ...shared, trash: this.#trash });
    this.layers = new Layers({ ...shared, trees, writables });
    this.arrivals = new Arrivals({ ...shared, trees, pool: this.#arrivalPool });
    const images = new ImageTable(this.database);
    this.#layout = new OciLayout(paths, this.blobs, () => this.images.list());
    this.images = new Images({
      table: images,
      layers: table,
      blobs: this.blobs,
      onChange: () => this.#layout.changed(),
      load: (archive, options) => this.#load(archive, options),
      save: (saved, options) => saveArchive(saved, options, { ...shared, leases: this.leases }),
      materialize: (image, signal) => this.#materialize(image, signal),
    });
    this.#collector = new Collector({
      database: this.database,
      paths,
      leases: this.leases,
      images,
      manifestLayers: (id) => this.images.get(id)?.manifest.layers.map(({ digest }) => digest) ?? [],
      writables,
      trash: this.#trash,
      unfinished: () => this.blobs.unfinished(),
      beforeSweep: () => this.#layout.write(),
    });
    this.restorables = new Restorables({
      ...{ database: this.database, paths, trash: this.#trash, images, log: this.#log },
      imageOf: (id) => this.images.get(id),
      onChange: () => this.#layout.changed(),
      plan: (absent) => this.#collector.plan(absent),
    });
    this.#collector.addRoots(TRASH_OWNER, () => this.restorables.roots());
  }

  async recover(): Promise<void> {
    const { database, paths, userxattr } = this;
    try {
      await recover({
        database,
        paths,
        userxattr,
        boot: this.#boot,
        trash: this.#trash,
        pool: this.#pool,
        log: this.#log,
      });
      this.#sync.adopt();
      this.#layout.write();
    } catch (error) {
      this.#pool.close();
      this.database.close();
      throw error;
    }
  }

  async #load(archive: ReadableStream<Uint8Array>, options: LoadOptions): Promise<LoadedImage[]> {
    const { blobs, layers, images, paths } = this;
    await using lease = this.leases.open("load");
    const known = this.database.query<{ diff_id: string }, []>("SELECT diff_id FROM diffs").all();
    const job: LoadJob = {
      op: "load",
      ingest: paths.ingest,
      blobs: `${paths.content}/blobs`,
      knownDiffs: new Set(known.map((row) => row.diff_id)),
    };
    const { signal, onProgress } = options;
    const contents = await readArchive(this.#pool, job, { archive, signal, onProgress });
    // Awaited here: the lease ends with this function.
    return await storeArchive(contents, { blobs, layers, images, table: this.#table, pool: this.#pool, lease, signal });
  }

  async #materialize(image: Image, signal: AbortSignal | undefined): Promise<void> {
    await using lease = this.leases.open(`materialize ${image.id}`);
    for (const [index, chainId] of image.layers.entries()) {
      const digest = image.manifest.layers[index]?.digest;
      if (digest !== undefined && this.blobs.stat(digest) === undefined)
        await this.layers.makeTar(chainId, lease, signal);
    }
    this.#layout.write();
  }

  addRoots(owner: string, roots: () => Iterable<Root>): void {
    this.#collector.addRoots(owner, roots);
  }

  async collect(options: CollectOptions = {}): Promise<CollectionReport> {
    options.signal?.throwIfAborted();
    return options.plan === true ? this.#collector.plan(options.without) : this.#collector.collect(options);
  }

  usage(): StoreUsage {
    const sum = (sql: string) => this.database.query<{ sum: number | null }, []>(sql).get()?.sum ?? 0;
    return {
      layerBytes: sum("SELECT sum(size) AS sum FROM diffs"),
      blobBytes: sum("SELECT sum(size) AS sum FROM blobs"),
    };
  }

  sync(): Promise<void> {
    return this.#sync.flush();
  }

  /** Leaves everything as a crash at this moment would, only tidier: nothing waits for the disk. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#layout.write();
    await this.#sync.stop();
    this.#arrivalPool.close();
    await this.#trash.close();
    this.#pool.close();
    this.database.close();
    this.#lock.release();
  }
}

function openDatabase(path: string): Database {
  const database = new Database(path, { create: true, strict: true });
  // NORMAL: a power cut may lose the last transactions, never consistency; see disk-sync.ts for the files.
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = NORMAL");
  database.run("PRAGMA foreign_keys = ON");
  database.run("PRAGMA busy_timeout = 5000");
  return database;
}

/** Whether overlayfs' marks can be `trusted.` attributes, as root has it, or must be `user.` ones. */
function mayWriteTrusted(paths: StorePaths): boolean {
  const probe = `${paths.writable}/probe-${process.pid}`;
  mkdirSync(probe);
  try {
    lsetxattr(probe, overlayXattr(false, "opaque"), OPAQUE_VALUE);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EPERM" || errnoOf(error) === "EOPNOTSUPP" || errnoOf(error) === "ENOTSUP") return false;
    throw error;
  } finally {
    rmdirSync(probe);
  }
}
