import { closeSync, openSync, readSync } from "node:fs";
import { errnoOf, SlipwayError } from "@slipway/base";
import { closeFd, fdPath, fstatNs, O, openInRoot } from "@slipway/sys";

/** Larger is no user database. */
const LIMIT = 1024 * 1024;

/**
 * A small text file inside a mounted root, or undefined. The root belongs to whoever ran in the container: links stay
 * inside, and what is not a plain file counts as missing. It is looked at before it is opened: opening a FIFO would block
 * the daemon, and opening a device, which a container can make, does what that device does.
 */
export function readInRoot(root: string, path: string): string | undefined {
  const place = findInRoot(root, path);
  if (place === undefined) return undefined;
  let fd: number;
  let size: number;
  try {
    const stat = fstatNs(place);
    size = stat.size;
    if (stat.kind !== "file") return undefined;
    if (size > LIMIT) throw new SlipwayError("exhausted", `${path} in the container is larger than ${LIMIT} bytes`);
    fd = openSync(fdPath(place), "r");
  } finally {
    closeFd(place);
  }
  try {
    const bytes = Buffer.alloc(size);
    return bytes.toString("utf8", 0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

function findInRoot(root: string, path: string): number | undefined {
  try {
    return openInRoot(root, path, O.PATH);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP") return undefined;
    throw error;
  }
}
