import { copyFile, readdir } from "node:fs/promises";
import { posix } from "node:path";
import { errnoOf } from "@slipway/base";
import type { RootEntry, RootView } from "@slipway/store";
import {
  chmodAt,
  chownAt,
  closeFd,
  fdPath,
  fstatNs,
  linkAt,
  lsetxattr,
  mkdirAt,
  mknodAt,
  O,
  openAt,
  openPath,
  openWith,
  RESOLVE,
  symlinkAt,
  utimesAt,
} from "@slipway/sys";

/** File types of inode(7). */
const TYPE_BITS = { fifo: 0o010000, char: 0o020000, block: 0o060000 } as const;
const AT_FDCWD = -100;

/**
 * A new volume takes over what the image has at its place, with owners, modes, times and attributes, unless the volume
 * already holds something. Returns whether anything was copied.
 *
 * Another container may have the volume already and put links in the way while it is filled: everything is made below
 * descriptors of directories, no link is followed.
 */
export async function copyUp(view: RootView, path: string, target: string): Promise<boolean> {
  const source = view.resolve(path, true);
  const entry = view.lstat(source);
  if (entry?.kind !== "dir") return false;
  const root = openPath(target, O.DIRECTORY);
  try {
    if ((await readdir(fdPath(root))).length > 0) return false;
    await copyDirectory({ view, root, links: new Map() }, { from: source, to: "", entry });
  } finally {
    closeFd(root);
  }
  return true;
}

interface Copy {
  readonly view: RootView;
  /** The volume's directory (O_PATH). */
  readonly root: number;
  /** The first copy of each hard-linked file, by inode. */
  readonly links: Map<string, { readonly directory: string; readonly name: string }>;
}

interface CopiedDirectory {
  /** In the image. */
  readonly from: string;
  /** In the volume: no slash at its beginning, empty for its root. */
  readonly to: string;
  readonly entry: RootEntry;
}

/** No descriptor is held while what lies below is copied: trees may be deeper than a process may have files open. */
async function copyDirectory(copy: Copy, { from, to, entry }: CopiedDirectory): Promise<void> {
  const below: CopiedDirectory[] = [];
  await inDirectory(copy, to, async (directory) => {
    for (const name of copy.view.readdir(from)) {
      const child = copy.view.lstat(posix.join(from, name));
      if (child === undefined || child.kind === "socket") continue;
      if (child.kind !== "dir") await copyEntry(copy, { directory, to, name, path: posix.join(from, name) }, child);
      else {
        mkdirAt(directory, name, 0o700);
        below.push({ from: posix.join(from, name), to: posix.join(to, name), entry: child });
      }
    }
  });
  for (const child of below) await copyDirectory(copy, child);
  await inDirectory(copy, to, (directory) => adopt(copy, directory, ".", entry));
}

/** Throws ELOOP when somebody has put a link on the way. */
async function inDirectory(copy: Copy, path: string, work: (directory: number) => unknown): Promise<void> {
  const how = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
  const directory = openWith(copy.root, path === "" ? "." : path, O.PATH | O.DIRECTORY, 0, how);
  try {
    await work(directory);
  } finally {
    closeFd(directory);
  }
}

interface Place {
  readonly directory: number;
  /** The directory's path in the volume. */
  readonly to: string;
  readonly name: string;
  /** In the image. */
  readonly path: string;
}

async function copyEntry(copy: Copy, place: Place, entry: RootEntry): Promise<void> {
  const { directory, name, path } = place;
  switch (entry.kind) {
    case "file":
      // The copy shares the inode of an earlier one, which has its attributes already.
      if (await linkToFirst(copy, place, entry)) return;
      await copyContent(entry, directory, name);
      break;
    case "symlink":
      symlinkAt(copy.view.readlink(path), directory, name);
      break;
    case "fifo":
    case "char":
    case "block":
      mknodAt(directory, name, TYPE_BITS[entry.kind] | 0o600, entry);
      break;
    default:
      return;
  }
  adopt(copy, directory, name, entry);
}

async function linkToFirst(copy: Copy, { directory, to, name }: Place, entry: RootEntry): Promise<boolean> {
  if (entry.nlink < 2) return false;
  const inode = String(entry.ino);
  const first = copy.links.get(inode);
  if (first === undefined) {
    copy.links.set(inode, { directory: to, name });
    return false;
  }
  await inDirectory(copy, first.directory, (from) => linkAt(from, first.name, directory, name));
  return true;
}

/** Into the file that was made here, also if another has its name by now. */
async function copyContent(entry: RootEntry, directory: number, name: string): Promise<void> {
  const file = openAt(directory, name, O.WRONLY | O.CREAT | O.EXCL, 0o600);
  try {
    await copyFile(entry.hostPath, fdPath(file));
  } finally {
    closeFd(file);
  }
}

/** Owner first, because chown(2) clears the setuid bit and capabilities; times last, because all else changes them. */
function adopt(copy: Copy, directory: number, name: string, entry: RootEntry): void {
  chownAt(directory, name, entry.uid, entry.gid);
  if (entry.kind !== "symlink") setMode(directory, name, entry);
  for (const [key, value] of copy.view.xattrs(entry)) setAttribute(fdPath(directory, name), key, value);
  utimesAt(directory, name, entry.mtime, entry.mtime);
}

/** By a descriptor: chmod(2) would follow a link. */
function setMode(directory: number, name: string, entry: RootEntry): void {
  const fd = openAt(directory, name, O.PATH);
  try {
    if (fstatNs(fd).kind === entry.kind) chmodAt(AT_FDCWD, fdPath(fd), entry.mode);
  } finally {
    closeFd(fd);
  }
}

function setAttribute(path: string, name: string, value: Uint8Array): void {
  try {
    lsetxattr(path, name, value);
  } catch (error) {
    // The volume's file system may not know the attribute; the content matters more.
    if (errnoOf(error) !== "EOPNOTSUPP" && errnoOf(error) !== "EPERM") throw error;
  }
}
