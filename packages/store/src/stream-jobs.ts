import { SlipwayError } from "@slipway/base";
import type { DiffId } from "@slipway/oci";
import { type Checkpoint, type HashTreeJob, hashTree } from "./jobs.ts";
import { TarSink } from "./tar-sink.ts";
import type { FromWorker } from "./worker-protocol.ts";

/** Jobs with chunks of bytes going in or coming out. */
export type StreamJob =
  /** The canonical tar of a tree comes out. */
  { readonly op: "stream-tree"; readonly tree: HashTreeJob; readonly diffId: DiffId };

export function isStreamJob(job: { readonly op: string }): job is StreamJob {
  return job.op === "stream-tree";
}

export interface StreamContext {
  readonly queue: ChunkQueue;
  readonly checkpoint: Checkpoint;
  /** Blocks this thread until the reader wants another chunk. */
  readonly awaitCredit: () => void;
  send(message: FromWorker, transfer?: ArrayBuffer[]): void;
}

export async function runStreamJob(job: StreamJob, context: StreamContext): Promise<unknown> {
  return streamTree(job, context);
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
