import { constants, mkdirSync, unlinkSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { errnoOf, SlipwayError } from "@slipway/base";
import { type ChainId, chainIdOf, type DiffId } from "@slipway/oci";
import { type Blobs, fileSize } from "./blobs.ts";
import type { ArrivalStore, ArrivingLayer, Lease, ReceiveOptions } from "./faces.ts";
import type { LayerTable } from "./layers/layer-table.ts";
import type { LayerTrees } from "./layers/layer-trees.ts";
import { heldLease } from "./leases.ts";
import type { Received, ReceiveJob } from "./workers/receive-job.ts";
import type { StreamRun, WorkerPool } from "./workers/worker-pool.ts";
import type { FromWorker } from "./workers/worker-protocol.ts";

/** Bytes that may be on their way to a worker: enough that it never waits, little enough to hold in memory. */
const MOST_AHEAD = 4 * 1024 * 1024;
/** How long a layer that arrived waits for the rest of its image, milliseconds. */
const KEPT_MS = 24 * 3600 * 1000;

export interface ArrivalsOptions {
  readonly blobs: Blobs;
  readonly table: LayerTable;
  readonly trees: LayerTrees;
  readonly userxattr: boolean;
  /** Of its own: arrivals wait for the network, and must not keep the workers that others need. */
  readonly pool: WorkerPool;
}

/** Layers that come from elsewhere, each in both forms at once and independent of those below it. */
export class Arrivals implements ArrivalStore {
  readonly #options: ArrivalsOptions;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
  }

  has(diffId: DiffId, lease: Lease): boolean {
    if (this.#options.table.diff(diffId) === undefined) return false;
    heldLease(lease).diffs.add(diffId);
    return true;
  }

  settle(diffIds: readonly DiffId[]): void {
    this.#options.table.settleArrivals(diffIds);
  }

  async receive(options: ReceiveOptions): Promise<ArrivingLayer> {
    const { blobs, trees, pool, userxattr } = this.#options;
    const { digest, size, diffId, lease, signal } = options;
    const stored = blobs.stat(digest) === undefined ? undefined : blobs.path(digest);
    const claim = blobs.claim(digest, lease, digest);
    heldLease(lease).diffs.add(diffId);
    const path = stored ?? claim.path;
    const there = fileSize(path) ?? 0;
    const home = trees.newHome();
    let file: FileHandle | undefined;
    try {
      mkdirSync(home.diff, 0o755);
      const offset = Math.min(there, size);
      const job: ReceiveJob = { op: "receive", path, offset, digest, size, diffId, target: home.diff, userxattr };
      const flow = new Flow();
      signal?.throwIfAborted();
      file = stored === undefined ? await openToAppend(path, offset) : undefined;
      // Not ended by the signal: what is on its way to the worker is written first, by `suspend`.
      const run = await pool.start(job, (message) => flow.note(message));
      flow.watch(run.result);
      let taken = false;
      return new Arriving(
        { job, file, run, flow },
        {
          finished: (received) => {
            if (stored === undefined) blobs.adopt(path, { digest, size });
            taken = this.#keep(job, received, home.directory);
          },
          unwanted: () => {
            if (stored === undefined) unlinkQuietly(path);
          },
          ended: () => {
            if (!taken) trees.discardHome(home.directory);
            claim.release();
          },
        },
      );
    } catch (error) {
      await file?.close();
      trees.discardHome(home.directory);
      claim.release();
      throw error;
    }
  }

  /** The stack of layers that are all there. Makes trees that depend on those below them. */
  async stack(diffIds: readonly DiffId[], lease: Lease, signal?: AbortSignal): Promise<ChainId | undefined> {
    const { table, trees } = this.#options;
    const held = heldLease(lease);
    let parent: ChainId | undefined;
    let bound = false;
    for (const diffId of diffIds) {
      const diff = table.diff(diffId);
      if (diff === undefined) throw new SlipwayError("not-found", `no layer with the diff ID ${diffId}`);
      bound ||= diff.bound !== 0;
      const chainId = chainIdOf(parent, diffId);
      held.layers.add(chainId);
      table.addLayer(chainId, parent, diffId);
      parent = chainId;
    }
    // Whether hard links into the layers below lead anywhere shows only now.
    if (bound && parent !== undefined) await trees.complete(parent, signal);
    return parent;
  }

  /** Whether the directory has become the layer's tree. */
  #keep(job: ReceiveJob, { compression, facts }: Received, directory: string): boolean {
    const { table } = this.#options;
    const { digest, diffId } = job;
    if (facts.diffId !== diffId) {
      throw new SlipwayError(
        "corrupt",
        `layer ${digest} has the diff ID ${facts.diffId}, its image expects ${diffId}`,
        {
          hint: "The image is damaged or was made to do harm; nothing of it was named.",
        },
      );
    }
    const isNew = !facts.bound && !table.hasTree(diffId);
    const tree = isNew ? { directory, canonical: false } : undefined;
    table.addArrival({ ...facts, tar: { digest, compression } }, tree, Date.now() + KEPT_MS);
    return isNew;
  }
}

interface ArrivingHooks {
  finished(received: Received): void;
  /** What arrived is not what was expected. */
  unwanted(): void;
  ended(): void;
}

/** Counts what is on its way to the worker. */
class Flow {
  #ahead = 0;
  #failed = false;
  #wake = () => {};

  get failed(): boolean {
    return this.#failed;
  }

  note(message: FromWorker): void {
    if (message.type !== "taken") return;
    this.#ahead -= message.bytes;
    if (this.#ahead <= MOST_AHEAD) this.#wake();
  }

  watch(result: Promise<unknown>): void {
    result.catch(() => {
      this.#failed = true;
      this.#wake();
    });
  }

  add(bytes: number): void {
    this.#ahead += bytes;
  }

  async room(): Promise<void> {
    while (this.#ahead > MOST_AHEAD && !this.#failed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

interface ArrivingParts {
  readonly job: ReceiveJob;
  /** Absent when the whole blob is in the store. */
  readonly file: FileHandle | undefined;
  readonly run: StreamRun;
  readonly flow: Flow;
}

class Arriving implements ArrivingLayer {
  readonly #job: ReceiveJob;
  readonly #file: FileHandle | undefined;
  readonly #run: StreamRun;
  readonly #flow: Flow;
  readonly #hooks: ArrivingHooks;
  #offset: number;
  #ended = false;

  constructor({ job, file, run, flow }: ArrivingParts, hooks: ArrivingHooks) {
    this.#job = job;
    this.#file = file;
    this.#run = run;
    this.#flow = flow;
    this.#hooks = hooks;
    this.#offset = job.offset;
  }

  get offset(): number {
    return this.#offset;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#flow.failed || this.#ended) return await this.#failure();
    const { length } = chunk;
    if (length === 0) return;
    if (this.#offset + length > this.#job.size) {
      throw new SlipwayError("corrupt", `${this.#job.digest}: more than the announced ${this.#job.size} bytes arrive`);
    }
    // Onto the file before anything else: what a worker has not come to yet would be lost with this process.
    await this.#append(chunk);
    this.#offset += length;
    this.#flow.add(length);
    this.#run.send({ type: "chunk", bytes: chunk }, ownBuffer(chunk));
    await this.#flow.room();
    if (this.#flow.failed) await this.#failure();
  }

  async #append(chunk: Uint8Array): Promise<void> {
    for (let written = 0; written < chunk.length; ) {
      const at = this.#offset + written;
      written += (await this.#file?.write(chunk, written, chunk.length - written, at))?.bytesWritten ?? chunk.length;
    }
  }

  async finish(): Promise<void> {
    // With bytes missing, it is the worker that says so.
    this.#run.send({ type: "end" });
    try {
      const received = (await this.#run.result) as Received;
      await this.#file?.close();
      this.#hooks.finished(received);
    } catch (error) {
      if (error instanceof SlipwayError && error.code !== "cancelled" && error.code !== "deadline")
        this.#hooks.unwanted();
      throw error;
    } finally {
      await this.#end();
    }
  }

  async suspend(): Promise<void> {
    if (this.#ended) return;
    this.#run.send({ type: "end" });
    await this.#run.result.catch(() => {});
    await this.#end();
  }

  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#run.stop();
    await this.#run.result.catch(() => {});
    this.#hooks.unwanted();
    await this.#end();
  }

  /** The worker's failure, which is the one to report; what arrived is gone when it was not what it should be. */
  async #failure(): Promise<void> {
    await this.finish();
    throw new SlipwayError("conflict", `the arrival of ${this.#job.digest} has ended`);
  }

  async #end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#file?.close().catch(() => {});
    this.#hooks.ended();
  }
}

/** What lies beyond `offset` is no part of it. */
async function openToAppend(path: string, offset: number): Promise<FileHandle> {
  const file = await open(path, constants.O_CREAT | constants.O_RDWR, 0o644);
  try {
    await file.truncate(offset);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The memory of a chunk that is alone in it can be handed over; otherwise it is copied. */
export function ownBuffer(bytes: Uint8Array): ArrayBuffer[] {
  const { buffer } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength ? [buffer] : [];
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
