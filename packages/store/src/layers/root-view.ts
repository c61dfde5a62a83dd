import { readFileSync, readlinkSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { type FileStat, lgetxattr, lstatNs, walkDirectory } from "@slipway/sys";
import type { RootEntry, RootView } from "../faces.ts";
import { compareBytewise } from "./layer-entries.ts";
import { layerXattrs } from "./tree-scan.ts";
import { overlayXattr } from "./whiteout.ts";

const MOST_LINKS = 40;
const FILE_LIMIT = 1024 * 1024;
const MOST_CACHED = 4096;

/**
 * The root file system that overlayfs would show, computed from the trees: nothing is mounted, and nothing in the trees
 * can lead out of them, because each step goes from a directory that `lstat` said is one to a name in it. (Trees are
 * immutable, so what was true stays true, and can be remembered.)
 */
export class MergedView implements RootView {
  readonly #lowers: readonly string[];
  readonly #opaqueName: string;
  readonly #root: Partial<RootEntry>;
  /** Merged directories: the host directories of each, topmost first. */
  readonly #directories = new Map<string, readonly string[]>();

  /** `lowers` topmost first. `root` is the root directory's metadata where no tree's own counts. */
  constructor(lowers: readonly string[], options: { readonly userxattr: boolean; readonly root?: Partial<RootEntry> }) {
    this.#lowers = lowers;
    this.#opaqueName = overlayXattr(options.userxattr, "opaque");
    this.#root = options.root ?? {};
  }

  lstat(path: string): RootEntry | undefined {
    const { parent, name } = this.#locate(path);
    if (parent === undefined) return undefined;
    return name === "" ? this.#rootEntry() : childIn(parent, name);
  }

  resolve(path: string, follow = true): string {
    const done: string[] = [];
    const todo = path.split("/").reverse();
    let links = 0;
    let missing = false;
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        done.pop();
        // Back among what exists, perhaps: look again.
        missing = false;
        continue;
      }
      const isLast = todo.every((rest) => rest === "" || rest === ".");
      const entry: RootEntry | undefined = missing ? undefined : this.#childOf(done, name);
      if (entry?.kind === "symlink" && (follow || !isLast)) {
        if (++links > MOST_LINKS) throw new SlipwayError("invalid", `too many levels of symbolic links: ${path}`);
        const target = readlinkSync(entry.hostPath);
        if (target.startsWith("/")) done.length = 0;
        todo.push(...target.split("/").reverse());
        continue;
      }
      missing ||= entry === undefined;
      done.push(name);
    }
    return `/${done.join("/")}`;
  }

  readlink(path: string): string {
    const entry = this.lstat(path);
    if (entry === undefined) throw new SlipwayError("not-found", `${path}: no such file`);
    if (entry.kind !== "symlink") throw new SlipwayError("invalid", `${path} is not a symbolic link`);
    return readlinkSync(entry.hostPath);
  }

  readdir(path: string): string[] {
    const resolved = this.resolve(path);
    const directories = this.#merged(resolved);
    if (directories === undefined) throw new SlipwayError("not-found", `${path}: no such directory`);
    return namesIn(directories);
  }

  readFile(path: string, limit = FILE_LIMIT): Uint8Array | undefined {
    const entry = this.lstat(this.resolve(path));
    if (entry?.kind !== "file") return undefined;
    if (entry.size > limit) {
      throw new SlipwayError("exhausted", `${path} has ${entry.size} bytes, over the limit of ${limit}`);
    }
    return readFileSync(entry.hostPath);
  }

  xattrs(entry: RootEntry): ReadonlyMap<string, Uint8Array> {
    return layerXattrs(entry.hostPath) ?? new Map();
  }

  #rootEntry(): RootEntry {
    const top = this.#lowers[0];
    const stat = top === undefined ? undefined : lstatNs(top);
    return { ...(stat ? entryOf(stat, top ?? "") : EMPTY_ROOT), ...this.#root };
  }

  /** The directory in which the last name of a path is looked up, links on the way followed. */
  #locate(path: string): { parent: readonly string[] | undefined; name: string } {
    const resolved = this.resolve(path, false);
    const slash = resolved.lastIndexOf("/");
    return { parent: this.#merged(resolved.slice(0, slash) || "/"), name: resolved.slice(slash + 1) };
  }

  #childOf(names: readonly string[], name: string): RootEntry | undefined {
    const parent = this.#merged(`/${names.join("/")}`);
    return parent && childIn(parent, name);
  }

  /** The host directories that make up a directory of the root, topmost first; undefined if it is none. `path` has no links. */
  #merged(path: string): readonly string[] | undefined {
    if (path === "/") return this.#lowers;
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const slash = path.lastIndexOf("/");
    const parent = this.#merged(path.slice(0, slash) || "/");
    const merged = parent && this.descend(parent, path.slice(slash + 1));
    if (merged === undefined) return undefined;
    if (this.#directories.size >= MOST_CACHED) this.#directories.clear();
    this.#directories.set(path, merged);
    return merged;
  }

  /** The host directories of the root itself. */
  get top(): readonly string[] {
    return this.#lowers;
  }

  /** Those of a directory in a directory that `parent` makes up. */
  descend(parent: readonly string[], name: string): readonly string[] | undefined {
    const merged: string[] = [];
    for (const directory of parent) {
      const hostPath = `${directory}/${name}`;
      const stat = lstatNs(hostPath);
      if (stat === undefined) continue;
      // A file, a link or a whiteout hides everything below it.
      if (stat.kind !== "dir") break;
      merged.push(hostPath);
      if (lgetxattr(hostPath, this.#opaqueName)?.[0] === 0x79) break;
    }
    return merged.length === 0 ? undefined : merged;
  }
}

/** Names in the directory that these host directories make up, sorted bytewise. */
export function namesIn(directories: readonly string[]): string[] {
  const names = new Map<string, boolean>();
  for (const directory of directories) {
    walkDirectory(directory, (item) => {
      if (!names.has(item.name)) {
        const hidden = item.kind === "char" && item.stat() && isWhiteout(item.full());
        names.set(item.name, !hidden);
      }
      return "skip";
    });
  }
  return [...names].flatMap(([name, shown]) => (shown ? [name] : [])).sort(compareBytewise);
}

/** What a name in that directory is; undefined if nothing, or if a whiteout hides it. */
export function childIn(directories: readonly string[], name: string): RootEntry | undefined {
  for (const directory of directories) {
    const hostPath = `${directory}/${name}`;
    const stat = lstatNs(hostPath);
    if (stat === undefined) continue;
    return isWhiteout(stat) ? undefined : entryOf(stat, hostPath);
  }
  return undefined;
}

function isWhiteout(stat: FileStat): boolean {
  return stat.kind === "char" && stat.major === 0 && stat.minor === 0;
}

function entryOf(stat: FileStat, hostPath: string): RootEntry {
  const { kind, mode, uid, gid, size, mtime, ino, nlink, major, minor } = stat;
  return { kind, mode, uid, gid, size, mtime, ino, nlink, major, minor, hostPath };
}

const EMPTY_ROOT: RootEntry = {
  kind: "dir",
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  ino: 0n,
  nlink: 2,
  major: 0,
  minor: 0,
  hostPath: "",
};
