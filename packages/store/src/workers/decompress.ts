import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import type { Readable } from "node:stream";
import zlib from "node:zlib";
import { SlipwayError } from "@slipway/base";
import type { Compression } from "@slipway/oci";

const CHUNK = 1024 * 1024;
/** Beyond this many bytes, content that grew more than this many times is a bomb: no archive of files compresses so well. */
const BOMB_BYTES = 1024 ** 3;
const BOMB_RATIO = 250;

/** How content is compressed, by its first bytes. Throws `invalid` for a compression that is known but not supported. */
export function sniffCompression(head: Uint8Array): Compression {
  const begins = (...magic: number[]) => magic.every((byte, index) => head[index] === byte);
  if (begins(0x1f, 0x8b)) return "gzip";
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  // A zstd stream may begin with a skippable frame.
  if (begins(0x50 | ((head[0] ?? 0) & 0x0f), 0x2a, 0x4d, 0x18) && (head[0] ?? 0) >> 4 === 5) return "zstd";
  if (begins(0x42, 0x5a, 0x68)) throw unsupported("bzip2", "bunzip2");
  if (begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)) throw unsupported("xz", "unxz");
  return "none";
}

function unsupported(name: string, tool: string): SlipwayError {
  return new SlipwayError("invalid", `the archive is compressed with ${name}, which is not supported`, {
    hint: `Decompress it first (${tool}), or compress it with gzip or zstd.`,
  });
}

/** The compression of a file. */
export function sniffFile(path: string): Compression {
  const fd = openSync(path, "r");
  try {
    const head = new Uint8Array(8);
    readSync(fd, head, 0, head.length, 0);
    return sniffCompression(head);
  } finally {
    closeSync(fd);
  }
}

/** A file's content, decompressed, handed to `take` in pieces. Throws `corrupt` for damage and `exhausted` for bombs. */
export async function readExpanded(
  path: string,
  compression: Compression,
  take: (bytes: Uint8Array) => void,
): Promise<void> {
  if (compression === "none") return readPlain(path, take);
  await expand(createReadStream(path, { highWaterMark: CHUNK }), compression, (bytes) => take(bytes));
}

/** As `readExpanded`, for any stream. `take` may wait. */
export async function expand(
  source: Readable,
  compression: "gzip" | "zstd",
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<void> {
  let read = 0;
  let expanded = 0;
  source.on("data", (chunk: Uint8Array) => {
    read += chunk.length;
  });
  const decoder = compression === "gzip" ? zlib.createGunzip({ chunkSize: CHUNK / 4 }) : zlib.createZstdDecompress();
  source.on("error", (error) => decoder.destroy(error));
  source.pipe(decoder);
  try {
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) {
      expanded += chunk.length;
      checkRatio(read, expanded);
      await take(chunk);
    }
  } catch (error) {
    source.destroy();
    throw error instanceof SlipwayError || !isZlibError(error)
      ? error
      : new SlipwayError("corrupt", `the ${compression} data is damaged: ${error.message}`, { cause: error });
  }
}

export function checkRatio(read: number, expanded: number): void {
  if (expanded <= BOMB_BYTES || expanded <= read * BOMB_RATIO) return;
  throw new SlipwayError("exhausted", `a decompression bomb: ${read} bytes became more than ${expanded}`, {
    hint: "No honest archive compresses so well. Decompress it yourself if you trust it.",
  });
}

function isZlibError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return code.startsWith("Z_") || code.startsWith("ZSTD_") || code.startsWith("ERR_ZLIB") || code === "ERR_ZSTD";
}

function readPlain(path: string, take: (bytes: Uint8Array) => void): void {
  const fd = openSync(path, "r");
  const buffer = new Uint8Array(CHUNK);
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) take(buffer.subarray(0, count));
  } finally {
    closeSync(fd);
  }
}
