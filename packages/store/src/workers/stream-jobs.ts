import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { SlipwayError } from "@slipway/base";
import { type DiffId, type Digest, digestAlgorithm, digestHex } from "@slipway/oci";
import { type ArchiveContents, ArchiveReader } from "../archives/archive-reader.ts";
import { TarSink } from "../layers/tar-sink.ts";
import { expand, sniffCompression } from "./decompress.ts";
import { type Checkpoint, type HashTreeJob, hashTree } from "./jobs.ts";
import { type ReceiveJob, receiveLayer } from "./receive-job.ts";
import type { FromWorker } from "./worker-protocol.ts";

/** Jobs with chunks of bytes going in or coming out. */
export type StreamJob =
  /** The canonical tar of a tree comes out. */
  | { readonly op: "stream-tree"; readonly tree: HashTreeJob; readonly diffId: DiffId }
  /** A blob comes out. */
  | { readonly op: "stream-file"; readonly path: string; readonly digest: Digest }
  /** An image archive goes in, compressed or not; its contents are the result. */
  | LoadJob
  | ReceiveJob;

export interface LoadJob {
  readonly op: "load";
  readonly ingest: string;
  readonly blobs: string;
  readonly knownDiffs: ReadonlySet<string>;
}

export function isStreamJob(job: { readonly op: string }): job is StreamJob {
  return ["stream-tree", "stream-file", "load", "receive"].includes(job.op);
}

export interface StreamContext {
  readonly queue: ChunkQueue;
  readonly checkpoint: Checkpoint;
  /** Blocks this thread until the reader wants another chunk. */
  readonly awaitCredit: () => void;
  send(message: FromWorker, transfer?: ArrayBuffer[]): void;
}

export async function runStreamJob(job: StreamJob, context: StreamContext): Promise<unknown> {
  switch (job.op) {
    case "stream-tree":
      return streamTree(job, context);
    case "stream-file":
      return streamFile(job, context);
    case "load":
      return loadArchive(job, context);
    case "receive":
      return receiveLayer(job, context);
  }
}

/** Chunks that have arrived, for a reader that waits for them. */
export class ChunkQueue {
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  push(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) return chunk;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** A reader of a tree's tar learns at its end, like every reader of a blob, if it was not what the digest names. */
function streamTree({ tree, diffId }: Extract<StreamJob, { op: "stream-tree" }>, context: StreamContext): undefined {
  const sink = new TarSink({
    handOver: true,
    write: (bytes) => {
      context.awaitCredit();
      context.send({ type: "chunk", bytes }, [bytes.buffer as ArrayBuffer]);
    },
  });
  const made = hashTree(tree, context.checkpoint, sink);
  if (made.diffId === diffId) return undefined;
  throw new SlipwayError("corrupt", `the layer ${diffId} is damaged: its tree now has the diff ID ${made.diffId}`, {
    hint: "Remove the image and make it again; if it happens again, check the disk.",
  });
}

const CHUNK = 1024 * 1024;

function streamFile({ path, digest }: Extract<StreamJob, { op: "stream-file" }>, context: StreamContext): undefined {
  const hash = createHash(digestAlgorithm(digest));
  const fd = openSync(path, "r");
  try {
    for (;;) {
      context.awaitCredit();
      context.checkpoint();
      const buffer = new Uint8Array(CHUNK);
      const count = readSync(fd, buffer);
      if (count === 0) break;
      const bytes = buffer.subarray(0, count);
      hash.update(bytes);
      context.send({ type: "chunk", bytes }, [buffer.buffer]);
    }
  } finally {
    closeSync(fd);
  }
  if (hash.digest("hex") !== digestHex(digest)) throw new SlipwayError("corrupt", `blob ${digest} is damaged`);
  return undefined;
}

async function loadArchive(job: LoadJob, { queue, checkpoint, send }: StreamContext): Promise<ArchiveContents> {
  const reader = new ArchiveReader({
    ...job,
    onProgress: (id, current, total) => send({ type: "progress", id, current, total }),
  });
  try {
    const source = chunksOf(queue, send, checkpoint);
    const first = await source.next();
    const head = first.done ? new Uint8Array(0) : first.value;
    const compression = sniffCompression(head);
    const take = (bytes: Uint8Array) => {
      checkpoint();
      reader.push(bytes);
    };
    if (compression === "none") {
      take(head);
      for await (const bytes of source) take(bytes);
    } else {
      await expand(Readable.from(prepend(head, source), { objectMode: false }), compression, take);
    }
    return reader.end();
  } catch (error) {
    reader.abandon();
    throw error;
  }
}

async function* chunksOf(
  queue: ChunkQueue,
  send: StreamContext["send"],
  checkpoint: Checkpoint,
): AsyncGenerator<Uint8Array> {
  for (let bytes = await queue.next(); bytes !== undefined; bytes = await queue.next()) {
    yield bytes;
    send({ type: "taken", bytes: bytes.length });
  }
  // The end may be that of the job and not of the archive.
  checkpoint();
}

async function* prepend(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rest;
}
