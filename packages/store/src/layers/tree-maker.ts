import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { errnoOf } from "@slipway/base";
import { link, lsetxattr, lutimes, mkfifo, mknod } from "@slipway/sys";
import { writeFully } from "./tar-sink.ts";
import { isLayerXattr, OPAQUE_VALUE, overlayXattr } from "./whiteout.ts";

export interface NodeMetadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

/**
 * Makes the files of one new tree.
 *
 * Plain paths are safe here, and much faster than a resolution by the kernel for each call: the tree is a new directory
 * that only this process can enter (its home is for root alone), and the callers pass only paths whose every parent is a
 * *directory that this very run has made*. A link in the tree is never on the way of a call; what an archive says is
 * resolved in memory (layer-model.ts).
 */
export class TreeMaker {
  readonly #root: string;
  readonly #userxattr: boolean;
  readonly #umask = process.umask();
  readonly #uid = process.geteuid?.() ?? 0;
  readonly #gid = process.getegid?.() ?? 0;

  constructor(root: string, options: { readonly userxattr: boolean }) {
    this.#root = root;
    this.#userxattr = options.userxattr;
  }

  hostPath(path: string): string {
    return path === "" ? this.#root : `${this.#root}/${path}`;
  }

  /** Its metadata is set by `finishDir` when nothing is made in it any more, as each new entry changes its time. */
  dir(path: string): void {
    mkdirSync(this.hostPath(path), 0o700);
  }

  finishDir(path: string, metadata: NodeMetadata, opaque: boolean): void {
    const host = this.hostPath(path);
    if (opaque) lsetxattr(host, overlayXattr(this.#userxattr, "opaque"), OPAQUE_VALUE);
    this.#own(host, metadata);
    this.#setXattrs(host, metadata);
    chmodSync(host, metadata.mode);
    lutimes(host, metadata.mtime, metadata.mtime);
  }

  /** A file to be written; `finish` sets its metadata and closes it. */
  file(path: string, metadata: NodeMetadata): OpenFile {
    const host = this.hostPath(path);
    const fd = openSync(host, "wx", metadata.mode & 0o777);
    return new OpenFile(fd, () => {
      if (metadata.uid !== this.#uid || metadata.gid !== this.#gid) fchownSync(fd, metadata.uid, metadata.gid);
      // After chown, which takes setuid bits and capabilities away.
      if ((metadata.mode & (0o7000 | this.#umask)) !== 0) fchmodSync(fd, metadata.mode);
      this.#setXattrs(host, metadata);
      lutimes(host, metadata.mtime, metadata.mtime);
    });
  }

  symlink(path: string, target: string, metadata: NodeMetadata): void {
    const host = this.hostPath(path);
    symlinkSync(target, host);
    this.#finish(host, metadata);
  }

  /** A hard link to another entry of this tree. */
  link(path: string, target: string): void {
    link(this.hostPath(target), this.hostPath(path));
  }

  /** A hard link to a file of another tree of ours. False when it has as many links as the file system allows. */
  linkFrom(hostPath: string, path: string): boolean {
    try {
      link(hostPath, this.hostPath(path));
      return true;
    } catch (error) {
      if (["EMLINK", "EXDEV", "EPERM"].includes(errnoOf(error) ?? "")) return false;
      throw error;
    }
  }

  device(path: string, type: "char" | "block", node: NodeMetadata & { major: number; minor: number }): void {
    const host = this.hostPath(path);
    mknod(host, (type === "char" ? S_IFCHR : S_IFBLK) | 0o600, node.major, node.minor);
    this.#finish(host, node);
    chmodSync(host, node.mode);
    lutimes(host, node.mtime, node.mtime);
  }

  fifo(path: string, metadata: NodeMetadata): void {
    const host = this.hostPath(path);
    mkfifo(host, 0o600);
    this.#finish(host, metadata);
    chmodSync(host, metadata.mode);
    lutimes(host, metadata.mtime, metadata.mtime);
  }

  /** The mark that hides what the layers below have at this path. */
  whiteout(path: string): void {
    mknod(this.hostPath(path), S_IFCHR, 0, 0);
  }

  /** Removes an entry that a later one replaces, with everything in it. */
  remove(path: string): void {
    rmSync(this.hostPath(path), { recursive: true, force: true });
  }

  #finish(host: string, metadata: NodeMetadata): void {
    this.#own(host, metadata);
    this.#setXattrs(host, metadata);
    lutimes(host, metadata.mtime, metadata.mtime);
  }

  #own(host: string, { uid, gid }: NodeMetadata): void {
    if (uid !== this.#uid || gid !== this.#gid) lchownSync(host, uid, gid);
  }

  #setXattrs(host: string, { xattrs }: NodeMetadata): void {
    if (xattrs === undefined || xattrs.size === 0) return;
    for (const [name, value] of xattrs) {
      if (!isLayerXattr(name)) continue;
      try {
        lsetxattr(host, name, value);
      } catch (error) {
        // What the file system or a user without root cannot store is left out, as every engine does.
        if (!["ENOTSUP", "EOPNOTSUPP", "EPERM"].includes(errnoOf(error) ?? "")) throw error;
      }
    }
  }
}

const ZEROS = new Uint8Array(64 * 1024);
/** Shorter runs of zeros are written: a hole saves less than a block. */
const SMALLEST_HOLE = 4096;

export class OpenFile {
  readonly #fd: number;
  readonly #finish: () => void;
  #size = 0;
  /** Where the kernel's own position stands; behind `#size` after a hole. */
  #written = 0;

  constructor(fd: number, finish: () => void) {
    this.#fd = fd;
    this.#finish = finish;
  }

  /** Appends; long runs of zeros become holes, so a sparse file stays sparse and a bomb of zeros takes no space. */
  write(bytes: Uint8Array): void {
    const start = this.#size;
    this.#size += bytes.length;
    if (bytes.length >= SMALLEST_HOLE && isZero(bytes)) return;
    writeFully(this.#fd, bytes, this.#written === start ? undefined : start);
    // A write at a position does not move the kernel's own: after the first hole all writes name theirs.
    if (this.#written === start) this.#written = this.#size;
  }

  /** Appends zeros that take no space. */
  hole(length: number): void {
    this.#size += length;
  }

  close(): void {
    try {
      if (this.#written !== this.#size) ftruncateSync(this.#fd, this.#size);
      this.#finish();
    } finally {
      closeSync(this.#fd);
    }
  }
}

function isZero(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0 || bytes[bytes.length - 1] !== 0) return false;
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
