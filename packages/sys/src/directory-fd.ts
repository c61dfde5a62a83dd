import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { AT_SYMLINK_NOFOLLOW } from "./stat.ts";
import { check } from "./system-error.ts";

/**
 * Work below an open directory (O_PATH will do): the descriptor pins the place, so that no link planted on the way can
 * divert it. `name` is one component; no call here follows a link at it, but `chmodAt`, which Linux cannot ask for.
 */
export function openAt(directory: number, name: string, flags: number, mode = 0): number {
  const { nr, call } = kernel();
  const O_CLOEXEC = 0o2000000;
  const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
  return check(call(nr.openat, directory, scratch().path(name), flags | O_CLOEXEC | O_NOFOLLOW, mode), "open", name);
}

export function mkdirAt(directory: number, name: string, mode: number): void {
  const { nr, call } = kernel();
  check(call(nr.mkdirat, directory, scratch().path(name), mode), "mkdir", name);
}

export function symlinkAt(target: string, directory: number, name: string): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [text, at] = [memory.path(target), memory.path(name)];
  check(call(nr.symlinkat, text, directory, at), "symlink", name);
}

export function linkAt(fromDirectory: number, from: string, directory: number, name: string): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [source, at] = [memory.path(from), memory.path(name)];
  check(call(nr.linkat, fromDirectory, source, directory, at, 0), "link", name);
}

/** `directory: true` removes an empty directory, otherwise anything else. */
export function unlinkAt(directory: number, name: string, options: { readonly directory?: boolean } = {}): void {
  const { nr, call } = kernel();
  const AT_REMOVEDIR = 0x200;
  check(call(nr.unlinkat, directory, scratch().path(name), options.directory ? AT_REMOVEDIR : 0), "unlink", name);
}

/** `exchange` swaps two names; `noReplace` fails with EEXIST. */
export function renameAt(
  from: { readonly directory: number; readonly name: string },
  to: { readonly directory: number; readonly name: string },
  mode: "replace" | "no-replace" | "exchange" = "replace",
): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [source, target] = [memory.path(from.name), memory.path(to.name)];
  const flags = { replace: 0, "no-replace": 1, exchange: 2 }[mode];
  check(call(nr.renameat2, from.directory, source, to.directory, target, flags), `rename ${from.name} to`, to.name);
}

/** `mode` with its type, as `S_IFCHR | 0o666`; the umask applies. */
export function mknodAt(
  directory: number,
  name: string,
  mode: number,
  device: { readonly major: number; readonly minor: number },
): void {
  const { nr, call } = kernel();
  const number = (device.minor & 0xff) + (device.major & 0xfff) * 0x100 + (device.minor >>> 8) * 0x100000;
  check(call(nr.mknodat, directory, scratch().path(name), mode, number), "mknod", name);
}

export function chownAt(directory: number, name: string, uid: number, gid: number): void {
  const { nr, call } = kernel();
  check(call(nr.fchownat, directory, scratch().path(name), uid, gid, AT_SYMLINK_NOFOLLOW), "chown", name);
}

/** Follows a link at `name`: only for what the caller has just made and nobody else can replace. */
export function chmodAt(directory: number, name: string, mode: number): void {
  const { nr, call } = kernel();
  check(call(nr.fchmodat, directory, scratch().path(name), mode), "chmod", name);
}

export function readlinkAt(directory: number, name: string): string {
  const { nr, call } = kernel();
  const memory = scratch();
  const [address, at] = [memory.path(name), memory.take(4096)];
  const length = check(call(nr.readlinkat, directory, address, memory.address(at), 4096), "readlink", name);
  return memory.bytes.toString("utf8", at, at + length);
}
