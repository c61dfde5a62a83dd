import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "./stat.ts";
import { check, EAGAIN, EINTR, SystemError } from "./system-error.ts";

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIRECTORY: process.arch === "arm64" ? 0o40000 : 0o200000,
  NOFOLLOW: process.arch === "arm64" ? 0o100000 : 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  TMPFILE: process.arch === "arm64" ? 0o20040000 : 0o20200000,
} as const;

const S_IFIFO = 0o010000;
const LOCK = { shared: 1, exclusive: 2, nonblocking: 4 } as const;

export function closeFd(fd: number): void {
  const { nr, call } = kernel();
  call(nr.close, fd);
}

/** A descriptor that only names a place (O_PATH); no permission on the file itself is needed. */
export function openPath(path: string, flags = 0): number {
  const { nr, call } = kernel();
  return check(call(nr.openat, AT_FDCWD, scratch().path(path), O.PATH | O.CLOEXEC | flags, 0), "open", path);
}

/** A path that names an open descriptor's file, for calls that only take paths. */
export function fdPath(fd: number, name?: string): string {
  return name === undefined ? `/proc/self/fd/${fd}` : `/proc/self/fd/${fd}/${name}`;
}

/** `mode` holds type and permissions, as `S_IFCHR | 0o666`. The process' umask does not apply. */
export function mknod(path: string, mode: number, major: number, minor: number): void {
  const { nr, call } = kernel();
  const at = scratch().path(path);
  // The kernel's "new" encoding of a device: 12 bits of major between two parts of the minor.
  const device = (minor & 0xff) + (major & 0xfff) * 0x100 + (minor >>> 8) * 0x100000;
  check(call(nr.mknodat, AT_FDCWD, at, mode, device), "mknod", path);
  check(call(nr.fchmodat, AT_FDCWD, at, mode & 0o7777), "chmod", path);
}

/** The process' umask does not apply. */
export function mkfifo(path: string, mode: number): void {
  mknod(path, S_IFIFO | mode, 0, 0);
}

/** Sets times in nanoseconds since the epoch on the path itself, also on a link. `null` leaves one as it is. */
export function lutimes(path: string, atime: bigint | null, mtime: bigint | null): void {
  utimesAt(AT_FDCWD, path, atime, mtime);
}

/** As `lutimes`, below an open directory. */
export function utimesAt(directory: number, name: string, atime: bigint | null, mtime: bigint | null): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const times = memory.take(32);
  writeTime(memory.view, times, atime);
  writeTime(memory.view, times + 16, mtime);
  const result = call(nr.utimensat, directory, memory.path(name), memory.address(times), AT_SYMLINK_NOFOLLOW);
  check(result, "utimensat", name);
}

const UTIME_OMIT = 0x3ffffffen;

function writeTime(view: DataView, at: number, time: bigint | null): void {
  if (time === null) {
    view.setBigInt64(at, 0n, true);
    view.setBigInt64(at + 8, UTIME_OMIT, true);
    return;
  }
  let seconds = time / 1_000_000_000n;
  let nanos = time % 1_000_000_000n;
  if (nanos < 0n) {
    seconds -= 1n;
    nanos += 1_000_000_000n;
  }
  view.setBigInt64(at, seconds, true);
  view.setBigInt64(at + 8, nanos, true);
}

/** A hard link; a symbolic link is linked itself, not followed. */
export function link(existing: string, path: string): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [from, to] = [memory.path(existing), memory.path(path)];
  check(call(nr.linkat, AT_FDCWD, from, AT_FDCWD, to, 0), `link ${existing} to`, path);
}

export interface LockOptions {
  readonly shared?: boolean;
  /** Waits for the lock; blocks the thread. */
  readonly wait?: boolean;
}

/** Locks an open file against other openings of it, until it is closed. False if another holds it. */
export function flock(fd: number, options: LockOptions = {}): boolean {
  const { nr, call } = kernel();
  const operation = (options.shared ? LOCK.shared : LOCK.exclusive) | (options.wait ? 0 : LOCK.nonblocking);
  for (;;) {
    const result = call(nr.flock, fd, operation);
    if (result === 0) return true;
    if (result === -EAGAIN) return false;
    if (result !== -EINTR) throw new SystemError("flock", -result, `fd ${fd}`);
  }
}

/** Writes everything of the file system that a descriptor lies on to disk. */
export function syncfs(fd: number): void {
  const { nr, call } = kernel();
  check(call(nr.syncfs, fd), "syncfs", `fd ${fd}`);
}

/** Copies up to `length` bytes between the descriptors' positions inside the kernel, sharing blocks where it can; returns how many. 0 is the end. */
export function copyFileRange(from: number, to: number, length: number): number {
  const { nr, call } = kernel();
  return check(call(nr.copy_file_range, from, 0, to, 0, length, 0), "copy_file_range", `fd ${from}`);
}

/** Makes reads and writes of a descriptor return instead of wait. */
export function setNonblocking(fd: number, on = true): void {
  const { nr, call } = kernel();
  const [F_GETFL, F_SETFL] = [3, 4];
  const flags = check(call(nr.fcntl, fd, F_GETFL, 0), "fcntl", `fd ${fd}`);
  check(call(nr.fcntl, fd, F_SETFL, on ? flags | O.NONBLOCK : flags & ~O.NONBLOCK), "fcntl", `fd ${fd}`);
}
