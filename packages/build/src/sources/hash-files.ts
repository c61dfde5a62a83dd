import { createHash } from "node:crypto";
import { readSync } from "node:fs";
import { errnoOf, errorMessage } from "@slipway/base";
import { closeFd, O, openInRoot, openPath } from "@slipway/sys";

const BUFFER = new Uint8Array(256 * 1024);

export interface HashFailure {
  readonly message: string;
  readonly path: string;
  readonly errno?: string;
}

/** sha256 of files below a directory, 32 bytes each. A path that leads out of it through a link is not followed there. */
export function hashFiles(root: string, paths: readonly string[]): Uint8Array | HashFailure {
  const digests = new Uint8Array(paths.length * 32);
  const directory = openPath(root, O.DIRECTORY);
  try {
    for (const [index, path] of paths.entries()) {
      try {
        digests.set(hashFile(directory, path), index * 32);
      } catch (error) {
        const errno = errnoOf(error);
        return { message: errorMessage(error), path, ...(errno !== undefined && { errno }) };
      }
    }
  } finally {
    closeFd(directory);
  }
  return digests;
}

function hashFile(directory: number, path: string): Uint8Array {
  const fd = openInRoot(directory, path, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
  try {
    const first = readSync(fd, BUFFER, 0, BUFFER.length, null);
    const head = BUFFER.subarray(0, first);
    if (first < BUFFER.length) return sha256(head);
    const hash = createHash("sha256").update(head);
    for (let count = readSync(fd, BUFFER); count > 0; count = readSync(fd, BUFFER)) {
      hash.update(count === BUFFER.length ? BUFFER : BUFFER.subarray(0, count));
    }
    return hash.digest();
  } finally {
    closeFd(fd);
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(32);
  Bun.SHA256.hash(bytes, out);
  return out;
}
