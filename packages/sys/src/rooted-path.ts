import { readlinkSync } from "node:fs";
import { closeFd, fdPath, O, openPath } from "./file.ts";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { check, EAGAIN, EINTR, SystemError } from "./system-error.ts";

/** openat2(2) */
export const RESOLVE = { NO_XDEV: 1, NO_MAGICLINKS: 2, NO_SYMLINKS: 4, BENEATH: 8, IN_ROOT: 16 } as const;

/**
 * Opens a path as if `root` were `/`: links and `..` stay inside, whatever anybody changes meanwhile, because the kernel
 * resolves it in one step. `root` is a path or the descriptor of a directory. `mode` counts for `O.CREAT`.
 */
export function openInRoot(root: string | number, path: string, flags: number, mode = 0): number {
  if (typeof root === "number") return openWith(root, path, flags, mode, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS);
  const directory = openPath(root, O.DIRECTORY);
  try {
    return openWith(directory, path, flags, mode, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS);
  } finally {
    closeFd(directory);
  }
}

/** openat2(2) with a choice of how to resolve. */
export function openWith(directory: number, path: string, flags: number, mode: number, resolve: number): number {
  const { nr, call } = kernel();
  const memory = scratch();
  const how = memory.take(24);
  memory.view.setBigUint64(how, BigInt(flags | O.CLOEXEC), true);
  memory.view.setBigUint64(how + 8, BigInt(flags & (O.CREAT | (O.TMPFILE & ~O.DIRECTORY)) ? mode : 0), true);
  memory.view.setBigUint64(how + 16, BigInt(resolve), true);
  const [name, address] = [memory.path(path === "" ? "." : path), memory.address(how)];
  for (let attempt = 0; ; attempt++) {
    const result = call(nr.openat2, directory, name, address, 24);
    if (result >= 0) return result;
    // EAGAIN: something on the way was renamed while `..` was being resolved.
    if (result === -EINTR || (result === -EAGAIN && attempt < 128)) continue;
    throw new SystemError("openat2", -result, path);
  }
}

/**
 * The host's path of something inside a root, with every link followed as the root sees it. It must exist (ENOENT).
 * The answer is a moment's truth: whoever can write to the root can change it afterwards, so hostile roots are to be
 * worked on through `openInRoot`'s descriptors.
 */
export function resolveInRoot(root: string, path: string): string {
  const fd = openInRoot(root, path, O.PATH);
  try {
    return readlinkSync(fdPath(fd));
  } finally {
    closeFd(fd);
  }
}

/** Makes a directory and its parents inside a root, following links that stay there; returns its descriptor (O_PATH). The umask applies. */
export function mkdirInRoot(root: string | number, path: string, mode = 0o755): number {
  try {
    // Most are there already: one call, however deep.
    return openInRoot(root, path === "" ? "." : path, O.PATH | O.DIRECTORY);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "ENOENT") throw error;
  }
  let fd = openInRoot(root, ".", O.PATH | O.DIRECTORY);
  const base = openInRoot(fd, ".", O.PATH | O.DIRECTORY);
  try {
    let walked = "";
    for (const name of path.split("/")) {
      if (name === "" || name === ".") continue;
      walked += `/${name}`;
      const next = enterOrMake(base, fd, { name, walked, mode });
      closeFd(fd);
      fd = next;
    }
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  } finally {
    closeFd(base);
  }
}

function enterOrMake(
  base: number,
  parent: number,
  step: { readonly name: string; readonly walked: string; readonly mode: number },
): number {
  try {
    return openInRoot(base, step.walked, O.PATH | O.DIRECTORY);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "ENOENT") throw error;
  }
  const { nr, call } = kernel();
  const result = call(nr.mkdirat, parent, scratch().path(step.name), step.mode);
  const EEXIST = 17;
  if (result < 0 && result !== -EEXIST) check(result, "mkdir", step.walked);
  return openInRoot(base, step.walked, O.PATH | O.DIRECTORY);
}
