import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { type FileStat, lsetxattr, lstatNs, lutimes, mknod, readXattrs, walkDirectory } from "@slipway/sys";

const TYPES = { fifo: 0o010000, char: 0o020000, block: 0o060000, socket: 0o140000 } as const;

/**
 * Copies what is in a directory into another, with times, attributes and hard links. `owners`: as they are, or root's for
 * files of a context, which belong to whoever happens to build.
 */
export function copyTree(from: string, to: string, options: { readonly owners: "kept" | "root" }): void {
  const links = new Map<string, string>();
  const directories: [path: string, stat: FileStat][] = [];
  walkDirectory(from, ({ path }) => {
    const [source, target] = [`${from}/${path}`, `${to}/${path}`];
    const stat = lstatNs(source);
    if (stat === undefined) return;
    const link = stat.kind !== "dir" && stat.nlink > 1 ? `${stat.dev} ${stat.ino}` : undefined;
    const first = link === undefined ? undefined : links.get(link);
    if (first !== undefined) {
      linkSync(first, target);
      return;
    }
    if (link !== undefined) links.set(link, target);
    copyOne(source, target, stat);
    // Before the mode and the attributes: chown takes away set-user-ID bits and capabilities.
    if (options.owners === "kept") lchownSync(target, stat.uid, stat.gid);
    if (stat.kind !== "symlink") chmodSync(target, stat.mode & 0o7777);
    copyXattrs(source, target);
    if (stat.kind === "dir") directories.push([target, stat]);
    else lutimes(target, null, stat.mtime);
  });
  // Last: each entry that is made changes the time of its directory.
  for (const [path, stat] of directories.reverse()) lutimes(path, null, stat.mtime);
}

function copyOne(source: string, target: string, stat: FileStat): void {
  switch (stat.kind) {
    case "dir":
      mkdirSync(target, { recursive: true });
      return;
    case "file":
      copyFileSync(source, target, constants.COPYFILE_FICLONE);
      return;
    case "symlink":
      symlinkSync(readlinkSync(source), target);
      return;
    default:
      mknod(target, TYPES[stat.kind] | (stat.mode & 0o7777), stat.major, stat.minor);
  }
}

function copyXattrs(source: string, target: string): void {
  for (const [name, value] of readXattrs(source)) {
    // The overlay's own marks mean something only in a layer.
    if (!name.startsWith("trusted.overlay.")) lsetxattr(target, name, value);
  }
}
