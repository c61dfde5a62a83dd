import { readlinkSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { lgetxattr, lstatNs, lutimes, readXattrs, walkDirectory } from "@slipway/sys";
import type { LayerEntry } from "../faces.ts";
import { type DirEntry, sortEntries } from "./layer-entries.ts";
import { isLayerXattr, overlayXattr, WHITEOUT_PREFIX } from "./whiteout.ts";

export interface ScanOptions {
  readonly userxattr: boolean;
  /** Later times become this, also on disk. */
  readonly clampMtime?: bigint;
  /** Gives up, with undefined, beyond this many entries or bytes. */
  readonly budget?: { readonly entries: number; readonly bytes: number };
  /** Metadata of the root directory, if the layer is to say anything about it. */
  readonly root?: DirEntry;
}

interface Found {
  readonly path: string;
  readonly entry: LayerEntry;
}

class OverBudget extends Error {}

/** The entries of a tree as overlayfs left it, in canonical order: its char devices 0/0 are whiteouts. */
export function scanTree(root: string, options: ScanOptions & { readonly budget?: undefined }): LayerEntry[];
export function scanTree(root: string, options: ScanOptions): LayerEntry[] | undefined;
export function scanTree(root: string, options: ScanOptions): LayerEntry[] | undefined {
  const scanner = new Scanner(root, options);
  try {
    return scanner.run();
  } catch (error) {
    if (error instanceof OverBudget) return undefined;
    throw error;
  }
}

class Scanner {
  readonly #root: string;
  readonly #options: ScanOptions;
  readonly #found: Found[] = [];
  /** Inode to indexes of the files that have more than one name. */
  readonly #inodes = new Map<number, number[]>();
  #bytes = 0;

  constructor(root: string, options: ScanOptions) {
    this.#root = root;
    this.#options = options;
  }

  run(): LayerEntry[] {
    const { budget } = this.#options;
    walkDirectory(this.#root, (item) => {
      if (!item.stat()) return;
      if (item.name.startsWith(WHITEOUT_PREFIX)) {
        throw new SlipwayError("invalid", `/${item.path}: names that begin with .wh. mean deleted files in layers`, {
          hint: "Rename the file before the layer is made.",
        });
      }
      if (item.kind === "socket") return;
      this.#bytes += item.kind === "file" ? item.size : 0;
      if (budget && (this.#found.length >= budget.entries || this.#bytes > budget.bytes)) throw new OverBudget();
      if (item.nlink > 1 && item.kind !== "dir") this.#linked(item.ino);
      this.#found.push({ path: item.path, entry: this.#read(item.path, item.full()) });
    });
    this.#resolveLinks();
    const entries = sortEntries(this.#found.map(({ entry }) => entry));
    return this.#options.root ? [this.#options.root, ...entries] : entries;
  }

  #linked(inode: number): void {
    const group = this.#inodes.get(inode);
    if (group === undefined) this.#inodes.set(inode, [this.#found.length]);
    else group.push(this.#found.length);
  }

  #read(path: string, stat: NonNullable<ReturnType<typeof lstatNs>>): LayerEntry {
    const hostPath = `${this.#root}/${path}`;
    if (stat.kind === "char" && stat.major === 0 && stat.minor === 0) return { kind: "whiteout", path };
    const { mode, uid, gid, size, major, minor } = stat;
    const mtime = this.#clamp(hostPath, stat.mtime);
    const xattrs = layerXattrs(hostPath);
    const metadata = { path, mode, uid, gid, mtime, ...(xattrs && { xattrs }) };
    switch (stat.kind) {
      case "dir": {
        this.#refuseRedirect(hostPath, path);
        return { kind: "dir", ...metadata, ...(this.#isOpaque(hostPath) && { opaque: true }) };
      }
      case "file":
        return { kind: "file", ...metadata, content: { from: "tree", path: hostPath, size } };
      case "symlink":
        return { kind: "symlink", ...metadata, target: readlinkSync(hostPath) };
      case "char":
      case "block":
        return { kind: stat.kind, ...metadata, major, minor };
      case "fifo":
      case "socket":
        return { kind: "fifo", ...metadata };
    }
  }

  #clamp(hostPath: string, mtime: bigint): bigint {
    const { clampMtime } = this.#options;
    if (clampMtime === undefined || mtime <= clampMtime) return mtime;
    lutimes(hostPath, null, clampMtime);
    return clampMtime;
  }

  #isOpaque(hostPath: string): boolean {
    return lgetxattr(hostPath, overlayXattr(this.#options.userxattr, "opaque"))?.[0] === 0x79;
  }

  /** With `redirect_dir` on, overlayfs renames directories by a note that only means something above its own lowers. */
  #refuseRedirect(hostPath: string, path: string): void {
    if (lgetxattr(hostPath, overlayXattr(this.#options.userxattr, "redirect")) === undefined) return;
    throw new SlipwayError("internal", `/${path} is a renamed directory that overlayfs did not copy`, {
      hint: "Mount with redirect_dir=off: echo N > /sys/module/overlay/parameters/redirect_dir",
    });
  }

  /**
   * Files that share an inode *in this tree* are hard links. (The link count alone says nothing: trees share files with
   * other trees.)
   */
  #resolveLinks(): void {
    for (const group of this.#inodes.values()) {
      if (group.length < 2) continue;
      const members = sortEntries(group.flatMap((index) => this.#found[index] ?? []));
      const first = members[0];
      if (first === undefined || first.entry.kind === "whiteout") continue;
      const { mode, uid, gid, mtime, xattrs } = first.entry;
      const links = new Map(
        members
          .slice(1)
          .map(({ path }) => [
            path,
            { kind: "link", path, target: first.path, mode, uid, gid, mtime, ...(xattrs && { xattrs }) } as const,
          ]),
      );
      for (const index of group) {
        const path = this.#found[index]?.path;
        const link = path === undefined ? undefined : links.get(path);
        if (path !== undefined && link !== undefined) this.#found[index] = { path, entry: link };
      }
    }
  }
}

/** The attributes of a file that belong to its layer, or undefined if there are none. */
export function layerXattrs(hostPath: string): ReadonlyMap<string, Uint8Array> | undefined {
  const all = readXattrs(hostPath);
  if (all.size === 0) return undefined;
  for (const name of [...all.keys()]) if (!isLayerXattr(name)) all.delete(name);
  return all.size === 0 ? undefined : all;
}

/** The root directory's metadata as an entry. */
export function scanRoot(root: string): DirEntry {
  const stat = lstatNs(root);
  if (stat?.kind !== "dir") throw new SlipwayError("internal", `${root} is not a directory`);
  const xattrs = layerXattrs(root);
  const { mode, uid, gid, mtime } = stat;
  return { kind: "dir", path: "", mode, uid, gid, mtime, ...(xattrs && { xattrs }) };
}

export function sameXattrs(
  a: ReadonlyMap<string, Uint8Array> | undefined,
  b: ReadonlyMap<string, Uint8Array> | undefined,
): boolean {
  if ((a?.size ?? 0) !== (b?.size ?? 0)) return false;
  for (const [name, value] of a ?? []) {
    const other = b?.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}
