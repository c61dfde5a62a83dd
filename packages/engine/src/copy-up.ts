import { constants } from "node:fs";
import { chmod, copyFile, lchown, link, mkdir, readdir, symlink } from "node:fs/promises";
import { posix } from "node:path";
import { errnoOf } from "@slipway/base";
import type { RootEntry, RootView } from "@slipway/store";
import { lsetxattr, lutimes, mkfifo, mknod } from "@slipway/sys";

/** `S_IFCHR` and `S_IFBLK` of inode(7). */
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

/**
 * A new volume takes over what the image has at its place, with owners, modes, times and attributes, unless the volume
 * already holds something. Returns whether anything was copied.
 */
export async function copyUp(view: RootView, path: string, target: string): Promise<boolean> {
  const source = view.resolve(path, true);
  const entry = view.lstat(source);
  if (entry?.kind !== "dir") return false;
  if ((await readdir(target)).length > 0) return false;
  const copy: Copy = { view, links: new Map() };
  await copyChildren(copy, source, target);
  await adopt(copy, entry, target);
  return true;
}

interface Copy {
  readonly view: RootView;
  /** The first copy of each hard-linked file, by inode. */
  readonly links: Map<string, string>;
}

async function copyChildren(copy: Copy, source: string, target: string): Promise<void> {
  for (const name of copy.view.readdir(source)) {
    const from = posix.join(source, name);
    const entry = copy.view.lstat(from);
    if (entry === undefined || entry.kind === "socket") continue;
    const to = posix.join(target, name);
    if (await copyEntry(copy, { from, to, entry })) await adopt(copy, entry, to);
  }
}

/** Returns false when the copy shares the inode of an earlier one, which has its attributes already. */
async function copyEntry(
  copy: Copy,
  { from, to, entry }: { readonly from: string; readonly to: string; readonly entry: RootEntry },
): Promise<boolean> {
  switch (entry.kind) {
    case "dir":
      await mkdir(to, { mode: 0o700 });
      await copyChildren(copy, from, to);
      return true;
    case "file":
      return copyContent(copy, entry, to);
    case "symlink":
      await symlink(copy.view.readlink(from), to);
      return true;
    case "fifo":
      mkfifo(to, entry.mode);
      return true;
    case "char":
    case "block":
      mknod(to, (entry.kind === "char" ? S_IFCHR : S_IFBLK) | entry.mode, entry.major, entry.minor);
      return true;
    case "socket":
      return false;
  }
}

async function copyContent(copy: Copy, entry: RootEntry, to: string): Promise<boolean> {
  const inode = String(entry.ino);
  const first = entry.nlink > 1 ? copy.links.get(inode) : undefined;
  if (first !== undefined) {
    await link(first, to);
    return false;
  }
  await copyFile(entry.hostPath, to, constants.COPYFILE_EXCL);
  if (entry.nlink > 1) copy.links.set(inode, to);
  return true;
}

/** Owner first, because chown(2) clears the setuid bit and capabilities; times last, because all else changes them. */
async function adopt(copy: Copy, entry: RootEntry, path: string): Promise<void> {
  await lchown(path, entry.uid, entry.gid);
  if (entry.kind !== "symlink") await chmod(path, entry.mode);
  for (const [name, value] of copy.view.xattrs(entry)) setAttribute(path, name, value);
  lutimes(path, entry.mtime, entry.mtime);
}

function setAttribute(path: string, name: string, value: Uint8Array): void {
  try {
    lsetxattr(path, name, value);
  } catch (error) {
    // The volume's file system may not know the attribute; the content matters more.
    if (errnoOf(error) !== "EOPNOTSUPP" && errnoOf(error) !== "EPERM") throw error;
  }
}
