import { ptr } from "bun:ffi";
import { SlipwayError } from "@slipway/base";
import { closeFd, O, openPath } from "./file.ts";
import { kernel } from "./kernel.ts";
import { openWith, RESOLVE } from "./rooted-path.ts";
import { scratch } from "./scratch.ts";
import {
  AT_FDCWD,
  type FileKind,
  type FileStat,
  kindOfMode,
  readInt64,
  readStatx,
  readUint64,
  STATX,
  STATX_FLAGS,
  STATX_MASK,
  STATX_SIZE,
} from "./stat.ts";
import { check, ENOENT, SystemError } from "./system-error.ts";

/** Depth and length that no honest tree has; PATH_MAX ends it on its own as well. */
const DIRENT_BYTES = 64 * 1024;
const DIRENT_NAME = 19;

/**
 * The entry being visited. One object serves the whole walk: what is to be kept must be copied out of it. Everything
 * below `stat()` is only there after `stat()` returned true.
 */
export interface WalkEntry {
  readonly name: string;
  /** Below the root, with `/` between names and none in front. */
  readonly path: string;
  readonly kind: FileKind;
  /** Directories below the root's own entries: 0 for those. */
  readonly depth: number;
  /** Asks the kernel (one statx). False if the entry has vanished meanwhile. */
  stat(): boolean;
  /** Octal 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  readonly nlink: number;
  /** Exact below 2^53. */
  readonly ino: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  /** All of it, as `lstatNs` gives it. */
  full(): FileStat;
}

/**
 * Visits everything below a directory, never following a link. A directory's entries come together, in no order, and
 * before those of its subdirectories; returning "skip" for a directory leaves out what is below it. An entry that
 * vanishes during the walk is left out. Throws `invalid` for a name that is not UTF-8.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a visitor that never skips need not return anything
export type WalkVisitor = (entry: WalkEntry) => void | "skip";

export function walkDirectory(root: string, visit: WalkVisitor): void {
  const walker = new Walker(root, visit);
  const base = openPath(root, O.DIRECTORY);
  try {
    walker.run(base);
  } finally {
    closeFd(base);
  }
}

const KIND_OF_DTYPE: readonly (FileKind | undefined)[] = [
  undefined,
  "fifo",
  "char",
  undefined,
  "dir",
  undefined,
  "block",
  undefined,
  "file",
  undefined,
  "symlink",
  undefined,
  "socket",
];

class Walker implements WalkEntry {
  name = "";
  path = "";
  kind: FileKind = "file";
  depth = 0;

  readonly #root: string;
  readonly #visit: WalkVisitor;
  readonly #entries = Buffer.from(new ArrayBuffer(DIRENT_BYTES + STATX_SIZE));
  readonly #view = new DataView(this.#entries.buffer, this.#entries.byteOffset);
  readonly #address = Number(ptr(this.#entries));
  readonly #call = kernel().call;
  readonly #statxNumber = kernel().nr.statx;
  #directory = -1;
  #nameAddress = 0;

  constructor(root: string, visit: WalkVisitor) {
    this.#root = root;
    this.#visit = visit;
  }

  run(base: number): void {
    const pending: { path: string; depth: number }[] = [{ path: "", depth: 0 }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const fd = this.#open(base, next.path);
      if (fd === undefined) continue;
      try {
        const found = this.#list(fd, next.path === "" ? "" : `${next.path}/`, next.depth);
        for (let index = found.length - 1; index >= 0; index--) {
          pending.push({ path: found[index] ?? "", depth: next.depth + 1 });
        }
      } finally {
        closeFd(fd);
      }
    }
  }

  /** From the root anew, so that no more than two descriptors are open however deep the tree; a link that replaces a directory on the way is refused by the kernel. */
  #open(base: number, path: string): number | undefined {
    try {
      return openWith(base, path, O.RDONLY | O.DIRECTORY, 0, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS);
    } catch (error) {
      const vanished = error instanceof SystemError && ["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code);
      if (vanished && path !== "") return undefined;
      if (error instanceof SystemError)
        throw new SystemError("open", -error.errno, path === "" ? this.#root : `${this.#root}/${path}`);
      throw error;
    }
  }

  /** Visits one directory; the paths of its subdirectories that are to be entered. */
  #list(fd: number, prefix: string, depth: number): string[] {
    const { nr, call } = kernel();
    const found: string[] = [];
    this.#directory = fd;
    this.depth = depth;
    for (;;) {
      const length = check(
        call(nr.getdents64, fd, this.#address, DIRENT_BYTES),
        "getdents64",
        `${this.#root}/${prefix}`,
      );
      if (length === 0) return found;
      this.#entriesIn(length, prefix, found);
    }
  }

  #entriesIn(length: number, prefix: string, found: string[]): void {
    const bytes = this.#entries;
    for (let at = 0; at < length; ) {
      const size = (bytes[at + 16] ?? 0) | ((bytes[at + 17] ?? 0) << 8);
      const start = at + DIRENT_NAME;
      const type = bytes[at + 18] ?? 0;
      const next = at + size;
      at = next;
      if (isDotEntry(bytes, start)) continue;
      this.#nameAddress = this.#address + start;
      this.name = this.#readName(start, next, prefix);
      this.path = prefix + this.name;
      const kind = KIND_OF_DTYPE[type];
      if (kind !== undefined) this.kind = kind;
      else if (!this.stat()) continue;
      if (this.#visit(this) !== "skip" && this.kind === "dir") found.push(prefix + this.name);
    }
  }

  /** The record is padded with NULs to eight bytes: the name ends within its last eight. */
  #readName(start: number, recordEnd: number, prefix: string): string {
    const bytes = this.#entries;
    let end = Math.max(start, recordEnd - 8);
    while (end < recordEnd && bytes[end] !== 0) end++;
    const name = bytes.toString("utf8", start, end);
    if (name.includes("\uFFFD") && Buffer.compare(Buffer.from(name), bytes.subarray(start, end)) !== 0) {
      throw new SlipwayError(
        "invalid",
        `a file name in ${this.#root}/${prefix} is not valid UTF-8: ${JSON.stringify(name)}`,
        {
          hint: "rename or remove the file",
        },
      );
    }
    return name;
  }

  stat(): boolean {
    const result = this.#call(
      this.#statxNumber,
      this.#directory,
      this.#nameAddress,
      STATX_FLAGS,
      STATX_MASK,
      this.#address + DIRENT_BYTES,
    );
    if (result === -ENOENT) return false;
    if (result < 0) throw new SystemError("statx", -result, `${this.#root}/${this.path}`);
    this.kind = kindOfMode(this.#view.getUint16(DIRENT_BYTES + STATX.mode, true));
    return true;
  }

  full(): FileStat {
    return readStatx(this.#view, DIRENT_BYTES);
  }

  get mode(): number {
    return this.#view.getUint16(DIRENT_BYTES + STATX.mode, true) & 0o7777;
  }
  get uid(): number {
    return this.#view.getUint32(DIRENT_BYTES + STATX.uid, true);
  }
  get gid(): number {
    return this.#view.getUint32(DIRENT_BYTES + STATX.gid, true);
  }
  get size(): number {
    return readUint64(this.#view, DIRENT_BYTES + STATX.size);
  }
  get nlink(): number {
    return this.#view.getUint32(DIRENT_BYTES + STATX.nlink, true);
  }
  get ino(): number {
    return readUint64(this.#view, DIRENT_BYTES + STATX.ino);
  }
  get mtimeSeconds(): number {
    return readInt64(this.#view, DIRENT_BYTES + STATX.mtimeSec);
  }
  get mtimeNanoseconds(): number {
    return this.#view.getUint32(DIRENT_BYTES + STATX.mtimeNsec, true);
  }
  get ctimeSeconds(): number {
    return readInt64(this.#view, DIRENT_BYTES + STATX.ctimeSec);
  }
  get ctimeNanoseconds(): number {
    return this.#view.getUint32(DIRENT_BYTES + STATX.ctimeNsec, true);
  }
}

/** `lstatNs` of many paths at once, in their order. */
export function statBatch(paths: readonly string[]): (FileStat | undefined)[] {
  const { nr, call } = kernel();
  const memory = scratch();
  return paths.map((path) => {
    const [address, at] = [memory.path(path), memory.take(STATX_SIZE)];
    const result = call(nr.statx, AT_FDCWD, address, STATX_FLAGS, STATX_MASK, memory.address(at));
    if (result === -ENOENT) return undefined;
    check(result, "statx", path);
    return readStatx(memory.view, at);
  });
}

function isDotEntry(bytes: Buffer, start: number): boolean {
  if (bytes[start] !== 0x2e) return false;
  const second = bytes[start + 1];
  return second === 0 || (second === 0x2e && bytes[start + 2] === 0);
}
