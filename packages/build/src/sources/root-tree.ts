import { nearest, SlipwayError } from "@slipway/base";
import type { ChainId } from "@slipway/oci";
import type { FileContent, RootEntry, RootView } from "@slipway/store";
import type { FileTree, TreeEntry } from "./file-tree.ts";
import type { HashPool } from "./hash-pool.ts";

interface RootTreeEntry extends TreeEntry {
  readonly hostPath: string;
}

/** A root file system of the store as a source of files. */
export class RootTree implements FileTree {
  readonly identity: string;
  readonly #view: RootView;
  readonly #hashes: HashPool;
  readonly #name: string;

  constructor(
    view: RootView,
    options: { readonly chainId: ChainId | undefined; readonly hashes: HashPool; readonly name: string },
  ) {
    this.#view = view;
    this.#hashes = options.hashes;
    this.#name = options.name;
    this.identity = options.chainId ?? "empty";
  }

  lstat(path: string): TreeEntry | undefined {
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? "" : this.#view.resolve(`/${path.slice(0, slash)}`).slice(1);
    const resolved = parent === "" ? path.slice(slash + 1) : `${parent}/${path.slice(slash + 1)}`;
    const entry = this.#view.lstat(`/${resolved}`);
    return entry && this.#entry(resolved, entry);
  }

  at(path: string): TreeEntry | undefined {
    const entry = this.#view.lstat(`/${path}`);
    return entry && this.#entry(path, entry);
  }

  resolve(path: string): string {
    return this.#view.resolve(`/${path}`).slice(1);
  }

  names(path: string): readonly string[] {
    return this.#view.readdir(`/${path}`);
  }

  content(entry: TreeEntry): FileContent {
    return { from: "tree", path: (entry as RootTreeEntry).hostPath, size: entry.size };
  }

  digests(entries: readonly TreeEntry[], signal: AbortSignal): Promise<readonly string[]> {
    const files = entries.map((entry) => ({ path: (entry as RootTreeEntry).hostPath.slice(1), size: entry.size }));
    return this.#hashes.digests("/", files, signal);
  }

  missing(path: string): SlipwayError {
    const slash = path.lastIndexOf("/");
    const directory = this.#view.resolve(`/${path.slice(0, Math.max(slash, 0))}`);
    const names = this.#view.lstat(directory)?.kind === "dir" ? this.#view.readdir(directory) : [];
    const near = nearest(path.slice(slash + 1), names);
    return new SlipwayError("not-found", `"/${path}": not found in ${this.#name}`, {
      ...(near !== undefined && { hint: `Did you mean ${directory === "/" ? "" : directory}/${near}?` }),
      details: { path },
    });
  }

  #entry(path: string, entry: RootEntry): RootTreeEntry {
    const { kind, mode, uid, gid, mtime, hostPath, major, minor } = entry;
    const base = { path, kind, mode, uid, gid, mtime, hostPath, size: kind === "file" ? entry.size : 0 };
    if (kind === "symlink") return { ...base, target: this.#view.readlink(`/${path}`) };
    if (kind === "char" || kind === "block") return { ...base, major, minor };
    // The root of an empty file system lies nowhere.
    const xattrs = hostPath === "" ? new Map<string, Uint8Array>() : this.#view.xattrs(entry);
    return {
      ...base,
      ...(xattrs.size > 0 && { xattrs }),
      // Two names of one file lie in the same layer, so the tree's path tells them from other files with that inode.
      ...(kind === "file" && entry.nlink > 1 && { link: `${entry.ino}` }),
    };
  }
}
