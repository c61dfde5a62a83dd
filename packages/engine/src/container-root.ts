import { closeSync, readSync } from "node:fs";
import { errnoOf, SlipwayError } from "@slipway/base";
import { fstatNs, O, openInRoot } from "@slipway/sys";

/** Larger is no user database. */
const LIMIT = 1024 * 1024;

/**
 * A small text file inside a mounted root, or undefined. The root belongs to whoever ran in the container: links stay
 * inside, and what is not a plain file (a FIFO would block the daemon) counts as missing.
 */
export function readInRoot(root: string, path: string): string | undefined {
  let fd: number;
  try {
    fd = openInRoot(root, path, O.RDONLY | O.NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP" || errno === "ENXIO") return undefined;
    throw error;
  }
  try {
    const { kind, size } = fstatNs(fd);
    if (kind !== "file") return undefined;
    if (size > LIMIT) throw new SlipwayError("exhausted", `${path} in the container is larger than ${LIMIT} bytes`);
    const bytes = Buffer.alloc(Number(size));
    return bytes.toString("utf8", 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}
