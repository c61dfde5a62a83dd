import { SlipwayError } from "@slipway/base";
import type { LayerEntry } from "../faces.ts";
import { hashRing } from "./hash-ring.ts";
import type { HashTreeJob, Job, JobResults } from "./jobs.ts";
import type { StreamJob } from "./stream-jobs.ts";
import { type FromWorker, fromWire, type ToWorker } from "./worker-protocol.ts";

/** More would only compete for disk and memory. One may be waiting in `syncfs`. */
const MOST_WORKERS = 4;
/** An idle worker costs some megabytes; starting one, two milliseconds. */
const IDLE_MS = 2000;
/** Entries a message: about two milliseconds of this thread each. */
const BATCH = 1000;

interface Seat {
  readonly worker: Worker;
  receive: (message: FromWorker) => void;
  fail: (error: Error) => void;
  idle: Timer | undefined;
}

/** A running job with chunks going in or out. */
export interface StreamRun {
  send(message: ToWorker, transfer?: ArrayBuffer[]): void;
  readonly result: Promise<unknown>;
  /** Lets the worker send one more chunk. */
  pull(): void;
  /** Asks the worker to stop; `result` rejects when it has. */
  stop(): void;
}

/** Threads for heavy work, started when there is some and let go when there is none. */
export class WorkerPool {
  readonly #free: Seat[] = [];
  readonly #waiting: Array<(seat: Seat) => void> = [];
  readonly #all = new Set<Seat>();
  readonly #most: number;
  #closed = false;

  constructor(most = MOST_WORKERS) {
    this.#most = most;
  }

  async run<J extends Job>(job: J, signal?: AbortSignal): Promise<JobResults[J["op"]]> {
    const run = await this.start(job, () => {}, signal);
    return (await run.result) as JobResults[J["op"]];
  }

  /**
   * Hashes a tree on two threads, one of which reads, if a second is free: waiting for it, all could wait for each other.
   */
  async hashTree(job: HashTreeJob, signal?: AbortSignal): Promise<JobResults["hash-tree"]> {
    if (this.#free.length + this.#most - this.#all.size < 2) return this.run(job, signal);
    const ring = hashRing();
    const stop = new AbortController();
    // Nothing is awaited between the look and these, so the seats are theirs.
    const hashing = this.run({ op: "hash-ring", ring }, stop.signal);
    const reading = this.run({ ...job, ring }, signal);
    // It fails only when it is stopped, or with the reading.
    hashing.catch(() => {});
    try {
      return await reading;
    } catch (error) {
      stop.abort(error);
      await hashing.catch(() => {});
      throw error;
    }
  }

  /** A job over entries, which are sent in batches so that this thread never stands still for long. */
  async runEntries<J extends Job & { op: "entries" }>(
    job: J,
    entries: readonly LayerEntry[],
    signal?: AbortSignal,
  ): Promise<JobResults["entries"]> {
    const run = await this.start(job, () => {}, signal);
    for (let at = 0; ; at += BATCH) {
      const last = at + BATCH >= entries.length;
      run.send({ type: "entries", entries: entries.slice(at, at + BATCH), last });
      if (last) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return (await run.result) as JobResults["entries"];
  }

  async start(
    job: Job | StreamJob,
    onMessage: (message: FromWorker) => void,
    signal?: AbortSignal,
  ): Promise<StreamRun> {
    signal?.throwIfAborted();
    const seat = await this.#seat();
    if (signal?.aborted) {
      this.#release(seat);
      throw signal.reason;
    }
    const control = new Int32Array(new SharedArrayBuffer(8));
    const pull = () => {
      Atomics.add(control, 1, 1);
      Atomics.notify(control, 1);
    };
    let ended = false;
    const send = (message: ToWorker, transfer: ArrayBuffer[] = []) => {
      // A seat that has ended this job may have another by now.
      if (!ended) seat.worker.postMessage(message, transfer);
    };
    const stop = () => {
      Atomics.store(control, 0, 1);
      Atomics.notify(control, 1);
      // And if it waits for chunks, not for leave to send them:
      send({ type: "end" });
    };
    signal?.addEventListener("abort", stop, { once: true });
    const result = new Promise<unknown>((resolve, reject) => {
      seat.receive = (message) => {
        ended ||= message.type === "done" || message.type === "failed";
        if (message.type === "done") resolve(message.result);
        else if (message.type === "failed") reject(signal?.aborted ? signal.reason : fromWire(message.error));
        else onMessage(message);
      };
      seat.fail = reject;
    }).finally(() => {
      ended = true;
      signal?.removeEventListener("abort", stop);
      this.#release(seat);
    });
    result.catch(() => {});
    send({ type: "start", job, control: control.buffer as SharedArrayBuffer });
    return { send, result, pull, stop };
  }

  close(): void {
    this.#closed = true;
    for (const seat of this.#all) this.#drop(seat, new SlipwayError("cancelled", "the store is closed"));
  }

  #seat(): Promise<Seat> {
    if (this.#closed) return Promise.reject(new SlipwayError("cancelled", "the store is closed"));
    const free = this.#free.pop();
    if (free !== undefined) {
      clearTimeout(free.idle);
      return Promise.resolve(free);
    }
    if (this.#all.size < this.#most) return Promise.resolve(this.#hire());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #hire(): Seat {
    const worker = new Worker(new URL("./store-worker.ts", import.meta.url));
    const seat: Seat = { worker, receive: () => {}, fail: () => {}, idle: undefined };
    worker.onmessage = (event: MessageEvent<FromWorker>) => seat.receive(event.data);
    worker.onerror = (event) => this.#drop(seat, new SlipwayError("internal", `store worker: ${event.message}`));
    worker.unref();
    this.#all.add(seat);
    return seat;
  }

  #release(seat: Seat): void {
    if (!this.#all.has(seat)) return;
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next(seat);
      return;
    }
    this.#free.push(seat);
    seat.idle = setTimeout(() => this.#drop(seat, new SlipwayError("internal", "idle")), IDLE_MS).unref();
  }

  #drop(seat: Seat, reason: Error): void {
    clearTimeout(seat.idle);
    this.#all.delete(seat);
    const at = this.#free.indexOf(seat);
    if (at >= 0) this.#free.splice(at, 1);
    seat.worker.terminate();
    seat.fail(reason);
    const next = this.#waiting.shift();
    if (next !== undefined) next(this.#hire());
  }
}
