import { writev } from "node:fs";

/** Bytes that are gathered before they are written. */
const BATCH = 1024 * 1024;
/** What one call of writev(2) takes at most. */
const MOST_PARTS = 1024;

/**
 * Writes content to a descriptor while more of it arrives: what has come is written by another thread, without being put
 * together first. The chunks must not change afterwards. When this returns or throws, nothing is written any more.
 */
export async function writeBehind(fd: number, content: AsyncIterable<Uint8Array>): Promise<void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of content) {
      if (chunk.length === 0) continue;
      parts.push(chunk);
      size += chunk.length;
      if (size < BATCH && parts.length < MOST_PARTS) continue;
      await writing;
      writing = writeAll(fd, parts);
      // Waited for before the next one, or at the end.
      writing.catch(() => {});
      parts = [];
      size = 0;
    }
    await writing;
    if (parts.length > 0) writing = writeAll(fd, parts);
  } finally {
    await writing;
  }
}

async function writeAll(fd: number, parts: readonly Uint8Array[]): Promise<void> {
  let rest = parts;
  while (rest.length > 0) rest = after(rest, await writeSome(fd, rest));
}

function writeSome(fd: number, parts: readonly Uint8Array[]): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, parts, (error, written) => (error === null ? resolve(written) : reject(error)));
  });
}

/** What is left of the parts when so many bytes have been taken. */
function after(parts: readonly Uint8Array[], taken: number): Uint8Array[] {
  let left = taken;
  return parts.flatMap((part) => {
    const skipped = Math.min(left, part.length);
    left -= skipped;
    return skipped === part.length ? [] : [part.subarray(skipped)];
  });
}
