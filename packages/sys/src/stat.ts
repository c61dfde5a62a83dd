import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { ENOENT, ENOTDIR, SystemError } from "./system-error.ts";

export type FileKind = "file" | "dir" | "symlink" | "char" | "block" | "fifo" | "socket";

export interface FileStat {
  readonly kind: FileKind;
  /** Permission bits with setuid, setgid and sticky, octal 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly ino: bigint;
  /** As `st_dev` of `node:fs`. */
  readonly dev: number;
  readonly nlink: number;
  /** Bytes on disk. */
  readonly allocated: number;
  /** Numbers of a device node. */
  readonly major: number;
  readonly minor: number;
}

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EMPTY_PATH = 0x1000;
const AT_NO_AUTOMOUNT = 0x800;
/** STATX_BASIC_STATS: all of it but the birth time. */
export const STATX_MASK = 0x7ff;
export const STATX_SIZE = 256;
export const STATX_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

/** Byte offsets in `struct statx`; the same on every architecture. */
export const STATX = {
  nlink: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  ino: 32,
  size: 40,
  blocks: 48,
  ctimeSec: 96,
  ctimeNsec: 104,
  mtimeSec: 112,
  mtimeNsec: 120,
  rdevMajor: 128,
  rdevMinor: 132,
  devMajor: 136,
  devMinor: 140,
} as const;

const KINDS: ReadonlyMap<number, FileKind> = new Map([
  [0o010000, "fifo"],
  [0o020000, "char"],
  [0o040000, "dir"],
  [0o060000, "block"],
  [0o100000, "file"],
  [0o120000, "symlink"],
  [0o140000, "socket"],
]);

export function kindOfMode(mode: number): FileKind {
  return KINDS.get(mode & 0o170000) ?? "file";
}

/** `st_dev` from its parts, as glibc's makedev(3) does it, exact in a number for every real device. */
export function makeDevice(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 0x100 + (minor >>> 8) * 0x100000 + Math.floor(major / 0x1000) * 2 ** 44;
}

/** What lies at a path, not following a link at its end; undefined if nothing does. */
export function lstatNs(path: string): FileStat | undefined {
  return statRaw(AT_FDCWD, scratch().path(path), STATX_FLAGS, path);
}

/** As `lstatNs`, below an open directory. */
export function lstatAt(directory: number, name: string): FileStat | undefined {
  return statRaw(directory, scratch().path(name), STATX_FLAGS, name);
}

/** As `lstatNs`, following links. */
export function statNs(path: string): FileStat | undefined {
  return statRaw(AT_FDCWD, scratch().path(path), AT_NO_AUTOMOUNT, path);
}

/** What a descriptor has open. */
export function fstatNs(fd: number): FileStat {
  const found = statRaw(fd, scratch().path(""), AT_EMPTY_PATH, `fd ${fd}`);
  if (found === undefined) throw new SystemError("statx", ENOENT, `fd ${fd}`);
  return found;
}

function statRaw(directory: number, address: number, flags: number, path: string): FileStat | undefined {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.take(STATX_SIZE);
  const result = call(nr.statx, directory, address, flags, STATX_MASK, memory.address(at));
  if (result === -ENOENT || result === -ENOTDIR) return undefined;
  if (result < 0) throw new SystemError("statx", -result, path);
  return readStatx(memory.view, at);
}

/** Seconds and nanoseconds as one count of nanoseconds. */
export function nanoseconds(seconds: bigint | number, nanos: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
}

export function readStatx(view: DataView, at: number): FileStat {
  const mode = view.getUint16(at + STATX.mode, true);
  return {
    kind: kindOfMode(mode),
    mode: mode & 0o7777,
    uid: view.getUint32(at + STATX.uid, true),
    gid: view.getUint32(at + STATX.gid, true),
    size: readUint64(view, at + STATX.size),
    mtime: nanoseconds(readInt64(view, at + STATX.mtimeSec), view.getUint32(at + STATX.mtimeNsec, true)),
    ctime: nanoseconds(readInt64(view, at + STATX.ctimeSec), view.getUint32(at + STATX.ctimeNsec, true)),
    ino: view.getBigUint64(at + STATX.ino, true),
    dev: makeDevice(view.getUint32(at + STATX.devMajor, true), view.getUint32(at + STATX.devMinor, true)),
    nlink: view.getUint32(at + STATX.nlink, true),
    allocated: readUint64(view, at + STATX.blocks) * 512,
    major: view.getUint32(at + STATX.rdevMajor, true),
    minor: view.getUint32(at + STATX.rdevMinor, true),
  };
}

/** An unsigned 64-bit value as a number: exact below 2^53, which no size or time reaches. */
export function readUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

export function readInt64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getInt32(at + 4, true) * 0x1_0000_0000;
}
