import { SlipwayError } from "@slipway/base";
import type { PieceDone, PieceJob } from "./compress-worker.ts";

/** Bytes of the tar that are compressed by themselves. */
const PIECE = 1024 * 1024;
const IDLE_MS = 2000;

interface Seat {
  readonly worker: Worker;
  busy: number;
}

/** Threads that compress pieces of layers, started when there is work and let go when there is none. */
export class Compressor {
  readonly #most: number;
  readonly #seats: Seat[] = [];
  readonly #waiting = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: Error) => void }>();
  #next = 0;
  #idle: Timer | undefined;

  constructor(threads: number) {
    this.#most = Math.max(1, threads);
  }

  /** The compressed stream of a tar. The same bytes give the same stream. */
  async *compress(
    tar: AsyncIterable<Uint8Array>,
    options: { readonly compression: "gzip" | "zstd"; readonly level: number },
  ): AsyncGenerator<Uint8Array> {
    const ahead: Promise<Uint8Array>[] = [];
    let any = false;
    for await (const bytes of pieces(tar)) {
      any = true;
      const done = this.#run(bytes, options);
      // Its failure is seen when its turn comes.
      done.catch(() => {});
      ahead.push(done);
      if (ahead.length <= this.#most * 2) continue;
      const first = await ahead.shift();
      if (first !== undefined) yield first;
    }
    // An empty tar is still a stream of its compression.
    if (!any) ahead.push(this.#run(new Uint8Array(0), options));
    for (const rest of ahead) yield await rest;
  }

  close(): void {
    clearTimeout(this.#idle);
    for (const { worker } of this.#seats.splice(0)) worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new SlipwayError("cancelled", "the compressor is closed"));
    this.#waiting.clear();
  }

  #run(bytes: Uint8Array<ArrayBuffer>, options: { readonly compression: "gzip" | "zstd"; readonly level: number }) {
    clearTimeout(this.#idle);
    const id = this.#next++;
    const seat = this.#seat();
    seat.busy++;
    return new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const job: PieceJob = { id, bytes, ...options };
      seat.worker.postMessage(job, [bytes.buffer]);
    }).finally(() => {
      seat.busy--;
      if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#rest(), IDLE_MS).unref();
    });
  }

  #seat(): Seat {
    const free = this.#seats.find(({ busy }) => busy === 0);
    if (free !== undefined) return free;
    if (this.#seats.length < this.#most) return this.#hire();
    return this.#seats.reduce((best, seat) => (seat.busy < best.busy ? seat : best));
  }

  #hire(): Seat {
    const worker = new Worker(new URL("./compress-worker.ts", import.meta.url));
    const seat: Seat = { worker, busy: 0 };
    worker.onmessage = ({ data }: MessageEvent<PieceDone>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("bytes" in data) waiting?.resolve(data.bytes);
      else waiting?.reject(new SlipwayError("internal", `compression failed: ${data.failure}`));
    };
    worker.onerror = (event) => {
      for (const { reject } of this.#waiting.values())
        reject(new SlipwayError("internal", `compressor: ${event.message}`));
      this.#waiting.clear();
    };
    worker.unref();
    this.#seats.push(seat);
    return seat;
  }

  #rest(): void {
    if (this.#waiting.size > 0) return;
    for (const { worker } of this.#seats.splice(0)) worker.terminate();
  }
}

/** The stream cut into pieces of one size, whatever the sizes in which it comes: so the result does not depend on them. */
async function* pieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let piece = new Uint8Array(PIECE);
  let used = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + PIECE - used);
      piece.set(part, used);
      used += part.length;
      at += part.length;
      if (used < PIECE) continue;
      yield piece;
      piece = new Uint8Array(PIECE);
      used = 0;
    }
  }
  if (used > 0) yield piece.slice(0, used);
}
