import { SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import { bodyOf } from "./body.ts";
import { CAREFUL_LANES, type LongRequest, type PullShare } from "./pull-share.ts";
import type { Repository } from "./repository.ts";

/** Where a blob's bytes go, in order. */
export interface BlobSink {
  /** Bytes that are there. */
  readonly offset: number;
  /** Takes the chunk's memory. Resolves when the bytes would outlive this process. */
  write(chunk: Uint8Array): Promise<void>;
}

export interface Pace {
  slow: boolean;
  /** The registry gives all of a blob whatever range is asked for. */
  wholeOnly: boolean;
}

export interface BlobTransfer {
  readonly repository: Repository;
  readonly digest: Digest;
  readonly size: number;
  readonly sink: BlobSink;
  readonly share: PullShare;
  /** What was learned of the connection, for all attempts. */
  readonly pace: Pace;
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
 * Brings what is missing of a blob: over one connection as long as that is fast, in ranges over several when it is not;
 * towards the end of its image in small ranges, so that little is lost when this process is killed. Bytes reach the sink
 * in order, so that they can be hashed and unpacked as they come. Throws `unavailable` when it breaks off; then the sink
 * knows where to go on.
 */
export async function transferBlob(transfer: BlobTransfer): Promise<void> {
  const { sink, size, share, pace } = transfer;
  while (sink.offset < size) {
    const before = sink.offset;
    const mayBeLong = pace.wholeOnly || !pace.slow;
    const long: LongRequest | undefined = mayBeLong ? share.long(before, size, pace.wholeOnly) : undefined;
    if (long === undefined) {
      try {
        await inRanges(transfer);
      } catch (error) {
        if (!pace.wholeOnly || transfer.signal.aborted) throw error;
        continue;
      }
    } else {
      try {
        pace.slow = !(await oneStream(transfer, long));
      } finally {
        long.done();
      }
    }
    if (sink.offset === before) {
      throw new SlipwayError(
        "unavailable",
        `${transfer.digest}: the connection ended after ${before} of ${size} bytes`,
      );
    }
  }
}

/** False when it ended itself because several connections may be faster. */
async function oneStream(
  { repository, digest, size, sink, onBytes, signal }: BlobTransfer,
  long: LongRequest,
): Promise<boolean> {
  const { host } = repository;
  const range = { offset: sink.offset, size, ...(long.end < size && { end: long.end }) };
  const { incoming, offset } = await repository.openBlob(digest, range, signal);
  const { status, headers } = incoming.response;
  const knowsRanges = status === 206 || headers.get("accept-ranges") === "bytes";
  const from = sink.offset;
  let skip = from - offset;
  const began = performance.now();
  for await (const chunk of bodyOf(incoming, host.limits(signal))) {
    const fresh = skip > 0 ? chunk.subarray(Math.min(skip, chunk.length)) : chunk;
    skip = Math.max(0, skip - chunk.length);
    const { length } = fresh;
    await sink.write(fresh);
    long.arrived(length);
    onBytes();
    const elapsed = performance.now() - began;
    if (!knowsRanges || elapsed < host.settings.rangesAfter || size - sink.offset < WORTH_RANGES) continue;
    if (((sink.offset - from) / elapsed) * 1000 < FAST) return false;
  }
  // An answer of 200 is of everything; where one of 206 ends early, it broke off.
  const expected = status === 206 ? long.end : size;
  if (sink.offset < expected) {
    throw new SlipwayError("unavailable", `${digest}: the connection ended after ${sink.offset} of ${size} bytes`);
  }
  return true;
}

async function inRanges(transfer: BlobTransfer): Promise<void> {
  const { size, sink, share, onBytes } = transfer;
  const usual = Math.min(Math.max(Math.ceil(size / PIECES), SMALLEST_PIECE), LARGEST_PIECE);
  const stop = new AbortController();
  const signal = AbortSignal.any([transfer.signal, stop.signal]);
  const ahead: Promise<Uint8Array[]>[] = [];
  let next = sink.offset;
  try {
    while (sink.offset < size) {
      const lanes = share.isEnding ? CAREFUL_LANES : LANES;
      const length = share.isEnding ? share.piece : usual;
      while (ahead.length < lanes && next < size) {
        const end = Math.min(next + length, size);
        const piece = fetchPiece({ ...transfer, signal }, next, end);
        // Its failure is seen when its turn comes.
        piece.catch(() => {});
        ahead.push(piece);
        next = end;
      }
      for (const chunk of (await ahead.shift()) ?? []) {
        const { length: bytes } = chunk;
        await sink.write(chunk);
        share.arrived(bytes);
      }
      onBytes();
    }
  } finally {
    stop.abort();
    await Promise.allSettled(ahead);
  }
}

async function fetchPiece(
  { repository, digest, size, pace, signal }: BlobTransfer,
  start: number,
  end: number,
): Promise<Uint8Array[]> {
  const opened = await repository.openBlob(digest, { offset: start, end, size }, signal);
  const chunks: Uint8Array[] = [];
  let arrived = 0;
  if (opened.incoming.response.status !== 206) {
    opened.incoming.end();
    pace.wholeOnly = true;
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
