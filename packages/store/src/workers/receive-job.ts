import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { SlipwayError } from "@slipway/base";
import { type Compression, type DiffId, type Digest, digestAlgorithm, digestHex } from "@slipway/oci";
import { TarParser } from "@slipway/tar";
import { LayerReader } from "../layers/layer-reader.ts";
import { TreeMaker } from "../layers/tree-maker.ts";
import { expand, sniffCompression } from "./decompress.ts";
import type { TarFacts } from "./jobs.ts";
import type { StreamContext } from "./stream-jobs.ts";

/**
 * A layer's blob goes in, as it comes off the wire: it is hashed, decompressed, hashed again and made a tree, all in one
 * pass. Whoever sends it has written it to the file before. What that held at the start is read first, so that an
 * interrupted arrival goes on.
 */
export interface ReceiveJob {
  readonly op: "receive";
  /** The file; bytes are only ever appended, so that its length says how much has arrived. */
  readonly path: string;
  /** Bytes that are there when the job begins. */
  readonly offset: number;
  readonly digest: Digest;
  /** Bytes of the whole. */
  readonly size: number;
  readonly diffId: DiffId;
  /** Where the tree is made: an empty directory. */
  readonly target: string;
  readonly userxattr: boolean;
}

export interface Received {
  readonly compression: Compression;
  readonly facts: TarFacts;
}

const CHUNK = 1024 * 1024;

export async function receiveLayer(job: ReceiveJob, context: StreamContext): Promise<Received> {
  const fd = openSync(job.path, "r");
  const blobHash = createHash(digestAlgorithm(job.digest));
  const layer = new UnpackedLayer(job);
  try {
    const source = arriving(fd, job, blobHash, context);
    const first = await source.next();
    const head = first.done ? new Uint8Array(0) : first.value;
    const compression = sniffCompression(head);
    const take = (bytes: Uint8Array) => {
      context.checkpoint();
      layer.push(bytes);
    };
    if (compression === "none") {
      layer.expectPlain();
      take(head);
      for await (const bytes of source) take(bytes);
    } else {
      await expand(Readable.from(prepend(head, source), { objectMode: false }), compression, take);
      // The decoder may end before the content does; the digest is of all of it.
      for await (const _ of source) context.checkpoint();
    }
    const hex = blobHash.digest("hex");
    if (hex !== digestHex(job.digest)) {
      throw new SlipwayError("corrupt", `the content has the digest ${hex}, expected ${job.digest}`);
    }
    return { compression, facts: layer.finish() };
  } catch (error) {
    layer.abandon();
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** All bytes in order: those of the file, then those that arrive, each hashed before it is handed on. */
async function* arriving(
  fd: number,
  job: ReceiveJob,
  hash: Hash,
  { queue, checkpoint, send }: StreamContext,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < job.offset; ) {
    checkpoint();
    const buffer = new Uint8Array(Math.min(CHUNK, job.offset - offset));
    const count = readSync(fd, buffer, 0, buffer.length, offset);
    if (count === 0) throw new SlipwayError("corrupt", `${job.path} became shorter`);
    offset += count;
    const bytes = buffer.subarray(0, count);
    hash.update(bytes);
    yield bytes;
  }
  let missing = job.size - job.offset;
  while (missing > 0) {
    const bytes = await queue.next();
    checkpoint();
    if (bytes === undefined) throw new SlipwayError("corrupt", `${missing} of ${job.size} bytes did not arrive`);
    if (bytes.length > missing) {
      throw new SlipwayError("corrupt", `more than the ${job.size} bytes arrived that were announced`);
    }
    missing -= bytes.length;
    hash.update(bytes);
    yield bytes;
    send({ type: "taken", bytes: bytes.length });
  }
}

async function* prepend(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rest;
}

class UnpackedLayer {
  readonly #reader: LayerReader;
  readonly #parser: TarParser;
  readonly #job: ReceiveJob;
  /** Undefined when the blob's own hash is the diff ID's. */
  #hash: Hash | undefined = createHash("sha256");
  #tarSize = 0;

  constructor(job: ReceiveJob) {
    this.#job = job;
    // What the layer says of directories below it is not known yet: such a tree is made again when they are there.
    this.#reader = new LayerReader({ maker: new TreeMaker(job.target, job), belowUnknown: true });
    this.#parser = new TarParser(this.#reader);
  }

  /** The tar comes uncompressed: where blob and tar have the same digest, hashing once is enough. */
  expectPlain(): void {
    if ((this.#job.diffId as Digest) === this.#job.digest) this.#hash = undefined;
  }

  push(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    this.#tarSize += bytes.length;
    this.#parser.push(bytes);
  }

  finish(): TarFacts {
    this.#parser.end();
    const diffId = this.#hash === undefined ? this.#job.diffId : (`sha256:${this.#hash.digest("hex")}` as DiffId);
    return { ...this.#reader.finish(), diffId, tarSize: this.#tarSize };
  }

  abandon(): void {
    this.#reader.abandon();
  }
}
