import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { LayerEntry, RootEntry, RootView, Store } from "@slipway/store";

const MOST_LINKS = 40;
const FILE_LIMIT = 1024 * 1024;

type Present = Exclude<LayerEntry, { readonly kind: "whiteout" }>;

/**
 * A root file system with one more layer that was made a moment ago, read from its entries: looking at it needs no files,
 * so a layer of copied files need not be unpacked only because another copy follows.
 */
export class MadeView implements RootView {
  readonly #below: RootView;
  readonly #entries = new Map<string, Present>();
  readonly #store: Store;
  readonly #made = new WeakMap<RootEntry, Present>();

  constructor(below: RootView, entries: readonly LayerEntry[], store: Store) {
    this.#below = below;
    this.#store = store;
    for (const entry of entries) if (entry.kind !== "whiteout") this.#entries.set(entry.path, entry);
  }

  lstat(path: string): RootEntry | undefined {
    return this.#at(this.resolve(path, false));
  }

  resolve(path: string, follow = true): string {
    const done: string[] = [];
    const todo = path.split("/").reverse();
    let links = 0;
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        done.pop();
        continue;
      }
      const here = `/${[...done, name].join("/")}`;
      const isLast = todo.every((rest) => rest === "" || rest === ".");
      const target = follow || !isLast ? this.#target(here) : undefined;
      if (target === undefined) {
        done.push(name);
        continue;
      }
      if (++links > MOST_LINKS) throw new SlipwayError("invalid", `too many levels of symbolic links: ${path}`);
      if (target.startsWith("/")) done.length = 0;
      todo.push(...target.split("/").reverse());
    }
    return `/${done.join("/")}`;
  }

  readlink(path: string): string {
    const target = this.#target(this.resolve(path, false));
    if (target === undefined) throw new SlipwayError("invalid", `${path} is not a symbolic link`);
    return target;
  }

  readdir(path: string): string[] {
    const resolved = this.resolve(path);
    const names = new Set(this.#below.lstat(resolved)?.kind === "dir" ? this.#below.readdir(resolved) : []);
    const prefix = resolved === "/" ? "" : `${resolved.slice(1)}/`;
    for (const entry of this.#entries.keys()) {
      if (entry.startsWith(prefix) && entry !== "" && !entry.includes("/", prefix.length))
        names.add(entry.slice(prefix.length));
    }
    return [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  readFile(path: string, limit = FILE_LIMIT): Uint8Array | undefined {
    const resolved = this.resolve(path);
    const entry = this.#entries.get(resolved.slice(1));
    if (entry === undefined) return this.#below.readFile(resolved, limit);
    if (entry.kind === "link") return this.readFile(`/${entry.target}`, limit);
    return entry.kind === "file" ? this.#content(entry, limit) : undefined;
  }

  xattrs(entry: RootEntry): ReadonlyMap<string, Uint8Array> {
    const made = this.#made.get(entry);
    return made === undefined ? this.#below.xattrs(entry) : (made.xattrs ?? new Map());
  }

  /** A path without links. */
  #at(path: string): RootEntry | undefined {
    const entry = this.#entries.get(path.slice(1));
    if (entry === undefined) return this.#below.lstat(path);
    if (entry.kind === "link") return this.#at(`/${entry.target}`);
    const { kind, mode, uid, gid, mtime } = entry;
    const size = entry.kind === "file" ? sizeOf(entry) : 0;
    const made: RootEntry = { kind, mode, uid, gid, size, mtime, ino: 0n, nlink: 1, major: 0, minor: 0, hostPath: "" };
    this.#made.set(made, entry);
    return made;
  }

  #target(path: string): string | undefined {
    const entry = this.#entries.get(path.slice(1));
    if (entry !== undefined) return entry.kind === "symlink" ? entry.target : undefined;
    return this.#below.lstat(path)?.kind === "symlink" ? this.#below.readlink(path) : undefined;
  }

  #content(entry: Present & { readonly kind: "file" }, limit: number): Uint8Array {
    if (sizeOf(entry) > limit) {
      throw new SlipwayError("exhausted", `/${entry.path} has ${sizeOf(entry)} bytes, over the limit of ${limit}`);
    }
    const { content } = entry;
    if (content.from === "bytes") return content.bytes;
    if (content.from !== "blob") return readFileSync(content.path);
    const fd = openSync(this.#store.blobs.path(content.digest), "r");
    try {
      const bytes = new Uint8Array(content.size);
      return bytes.subarray(0, readSync(fd, bytes, 0, content.size, content.offset));
    } finally {
      closeSync(fd);
    }
  }
}

function sizeOf({ content }: Present & { readonly kind: "file" }): number {
  return content.from === "bytes" ? content.bytes.length : content.size;
}
