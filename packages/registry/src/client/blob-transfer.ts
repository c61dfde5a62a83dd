import { SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import { bodyOf } from "./body.ts";
import type { Repository } from "./repository.ts";

/** Where a blob's bytes go, in order. */
export interface BlobSink {
  /** Bytes that are there. */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
}

export interface BlobTransfer {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly size: number;
  readonly sink: BlobSink;
  readonly onBytes: () => void;
  readonly signal: AbortSignal;
}

/** Requests at once for one blob. */
const LANES = 4;
/** Less than this is not worth more connections. Bytes. */
const WORTH_RANGES = 16 * 1024 * 1024;
/** A connection that brings so much needs no company. Bytes a second. */
const FAST = 64 * 1024 * 1024;
/**
 * A piece is so small a part of the blob that what is fetched ahead, and lost when everything ends now, is two in a hundred.
 */
const PIECES = 200;
const SMALLEST_PIECE = 128 * 1024;
const LARGEST_PIECE = 4 * 1024 * 1024;

/**
 * Brings what is missing of a blob: over one connection as long as that is fast, in ranges over several when it is not.
 * Bytes reach the sink in order, so that they can be hashed and unpacked as they come. Throws `unavailable` when it
 * breaks off; then the sink knows where to go on.
 */
export async function transferBlob(transfer: BlobTransfer): Promise<void> {
  const { sink, size } = transfer;
  if (sink.offset === size) return;
  const whole = await oneStream(transfer);
  if (!whole) await inRanges(transfer);
  if (sink.offset < size) {
    throw new SlipwayError(
      "unavailable",
      `${transfer.digest}: the connection ended after ${sink.offset} of ${size} bytes`,
    );
  }
}

/** False when it ended itself because several connections may be faster. */
async function oneStream({ repository, digest, size, sink, onBytes, signal }: BlobTransfer): Promise<boolean> {
  const { host } = repository;
  const { incoming, offset } = await repository.openBlob(digest, { offset: sink.offset, size }, signal);
  const { status, headers } = incoming.response;
  const knowsRanges = status === 206 || headers.get("accept-ranges") === "bytes";
  let skip = sink.offset - offset;
  const began = performance.now();
  const from = sink.offset;
  for await (const chunk of bodyOf(incoming, host.limits(signal))) {
    const fresh = skip > 0 ? chunk.subarray(Math.min(skip, chunk.length)) : chunk;
    skip = Math.max(0, skip - chunk.length);
    await sink.write(fresh);
    onBytes();
    const elapsed = performance.now() - began;
    if (!knowsRanges || elapsed < host.settings.rangesAfter || size - sink.offset < WORTH_RANGES) continue;
    if (((sink.offset - from) / elapsed) * 1000 < FAST) return false;
  }
  return true;
}

async function inRanges(transfer: BlobTransfer): Promise<void> {
  const { size, sink, onBytes } = transfer;
  const length = Math.min(Math.max(Math.ceil(size / PIECES), SMALLEST_PIECE), LARGEST_PIECE);
  const stop = new AbortController();
  const signal = AbortSignal.any([transfer.signal, stop.signal]);
  const ahead: Promise<Uint8Array[]>[] = [];
  let next = sink.offset;
  try {
    while (sink.offset < size) {
      for (; ahead.length < LANES && next < size; next += length) {
        const piece = fetchPiece({ ...transfer, signal }, next, Math.min(next + length, size));
        // Its failure is seen when its turn comes.
        piece.catch(() => {});
        ahead.push(piece);
      }
      for (const chunk of (await ahead.shift()) ?? []) await sink.write(chunk);
      onBytes();
    }
  } finally {
    stop.abort();
    await Promise.allSettled(ahead);
  }
}

async function fetchPiece(
  { repository, digest, size, signal }: BlobTransfer,
  start: number,
  end: number,
): Promise<Uint8Array[]> {
  const opened = await repository.openBlob(digest, { offset: start, end, size }, signal);
  const chunks: Uint8Array[] = [];
  let arrived = 0;
  if (opened.incoming.response.status !== 206) {
    opened.incoming.end();
    throw new SlipwayError("unavailable", `${digest}: the registry gave all where a range was asked for`);
  }
  for await (const chunk of bodyOf(opened.incoming, repository.host.limits(signal))) {
    arrived += chunk.length;
    if (arrived > end - start) throw new SlipwayError("corrupt", `${digest}: a range is longer than was asked for`);
    chunks.push(chunk);
  }
  if (arrived === end - start) return chunks;
  throw new SlipwayError("unavailable", `${digest}: ${arrived} of ${end - start} bytes of a range arrived`);
}
