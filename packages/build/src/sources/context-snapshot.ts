import { readdirSync } from "node:fs";
import { nearest, SlipwayError } from "@slipway/base";
import type { IgnoreMatcher } from "@slipway/dockerfile";
import type { FileContent } from "@slipway/store";
import { lstatNs, resolveInRoot, type WalkEntry } from "@slipway/sys";
import type { FileTree, TreeEntry } from "./file-tree.ts";
import type { HashPool } from "./hash-pool.ts";
import type { StatCache } from "./stat-cache.ts";

export interface ContextEntry extends TreeEntry {
  readonly ino: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  /** A directory that is here only because something below it is not ignored. */
  readonly ignored: boolean;
  isAs(walked: WalkEntry): boolean;
}

export interface SnapshotOptions {
  readonly ignore: IgnoreMatcher;
  readonly hashes: HashPool;
  readonly stats: StatCache;
  /** Only some paths were looked at. */
  readonly partial: boolean;
}

const MOST_LINKS = 40;
const ROOT: TreeEntry = { path: "", kind: "dir", mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0n };

/** A context as it was at one moment, without what is ignored. */
export class ContextSnapshot implements FileTree {
  readonly root: string;
  /** In the order of the walk. */
  readonly entries: readonly ContextEntry[];
  /** Only its files can tell whether it is the same. */
  readonly identity = undefined;
  /** Results that depend on nothing but this snapshot, kept as long as it is. */
  readonly memo = new Map<string, unknown>();
  readonly #options: SnapshotOptions;
  #young = false;
  #byPath: Map<string, ContextEntry> | undefined;
  #children: Map<string, string[]> | undefined;

  constructor(root: string, entries: readonly ContextEntry[], options: SnapshotOptions) {
    this.root = root;
    this.entries = entries;
    this.#options = options;
  }

  get partial(): boolean {
    return this.#options.partial;
  }

  get ignore(): IgnoreMatcher {
    return this.#options.ignore;
  }

  /** Files were read so soon after their last change that another change would not show: what was seen proves nothing later. */
  get young(): boolean {
    return this.#young;
  }

  lstat(path: string): TreeEntry | undefined {
    if (path === "") return ROOT;
    const direct = this.#index().get(path);
    if (direct !== undefined) return direct;
    const slash = path.lastIndexOf("/");
    if (slash < 0) return undefined;
    const parent = this.resolve(path.slice(0, slash));
    return this.#index().get(parent === "" ? path.slice(slash + 1) : `${parent}/${path.slice(slash + 1)}`);
  }

  at(path: string): TreeEntry | undefined {
    return path === "" ? ROOT : this.#index().get(path);
  }

  resolve(path: string): string {
    const index = this.#index();
    const todo = path.split("/").reverse();
    const done: string[] = [];
    let links = 0;
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        done.pop();
        continue;
      }
      const entry = index.get(done.length === 0 ? name : `${done.join("/")}/${name}`);
      if (entry?.kind !== "symlink" || entry.target === undefined) {
        done.push(name);
        continue;
      }
      if (++links > MOST_LINKS) throw new SlipwayError("invalid", `too many levels of symbolic links: ${path}`);
      if (entry.target.startsWith("/")) done.length = 0;
      todo.push(...entry.target.split("/").reverse());
    }
    return done.join("/");
  }

  names(path: string): readonly string[] {
    this.#children ??= childrenOf(this.entries);
    return this.#children.get(path) ?? [];
  }

  content(entry: TreeEntry): FileContent {
    return { from: "host", path: `${this.root}/${entry.path}`, size: entry.size };
  }

  async digests(entries: readonly TreeEntry[], signal: AbortSignal): Promise<readonly string[]> {
    const { stats, hashes } = this.#options;
    const digests: string[] = new Array(entries.length);
    const unknown: { readonly index: number; readonly entry: ContextEntry }[] = [];
    for (const [index, entry] of entries.entries()) {
      const known = stats.find(entry as ContextEntry);
      if (known !== undefined) digests[index] = known;
      else unknown.push({ index, entry: entry as ContextEntry });
    }
    if (unknown.length === 0) return digests;
    const startedAt = Date.now();
    const found = await hashes.digests(
      this.root,
      unknown.map(({ entry }) => entry),
      signal,
    );
    for (const [position, { index, entry }] of unknown.entries()) {
      const digest = found[position] ?? "";
      digests[index] = digest;
      if (!stats.remember(entry, digest, startedAt)) this.#young = true;
    }
    return digests;
  }

  missing(path: string): SlipwayError {
    const shown = `/${path}`;
    const rule = this.#options.ignore.explain(path) ?? this.#hiddenAbove(path);
    if (rule !== undefined && lstatNs(`${this.root}/${path}`) !== undefined) {
      const written = `${rule.negated ? "!" : ""}${rule.pattern}`;
      return new SlipwayError(
        "not-found",
        `"${shown}" is left out of the build context by ${rule.file}:${rule.line} (${written})`,
        {
          hint: `Remove the rule, or add the line !${path} below it.`,
          details: { path, ignoreFile: rule.file, line: rule.line },
        },
      );
    }
    const slash = path.lastIndexOf("/");
    const directory = this.resolve(path.slice(0, Math.max(slash, 0)));
    const near = nearest(path.slice(slash + 1), this.#namesOnDisk(directory));
    return new SlipwayError("not-found", `"${shown}": not found in the build context`, {
      hint:
        near === undefined
          ? `Paths are relative to the context, ${this.root}.`
          : `Did you mean ${directory === "" ? near : `${directory}/${near}`}?`,
      details: { path },
    });
  }

  /** A partial look knows too few names for a good guess. */
  #namesOnDisk(directory: string): readonly string[] {
    if (!this.partial) return this.names(directory);
    try {
      const names = readdirSync(resolveInRoot(this.root, directory));
      return names.filter((name) => !this.ignore.ignores(directory === "" ? name : `${directory}/${name}`));
    } catch {
      return [];
    }
  }

  #hiddenAbove(path: string) {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      const rule = this.#options.ignore.explain(path.slice(0, slash));
      if (rule !== undefined) return rule;
    }
    return undefined;
  }

  #index(): Map<string, ContextEntry> {
    this.#byPath ??= new Map(this.entries.map((entry) => [entry.path, entry]));
    return this.#byPath;
  }
}

function childrenOf(entries: readonly ContextEntry[]): Map<string, string[]> {
  const children = new Map<string, string[]>();
  for (const { path } of entries) {
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? "" : path.slice(0, slash);
    const names = children.get(parent);
    if (names === undefined) children.set(parent, [path.slice(slash + 1)]);
    else names.push(path.slice(slash + 1));
  }
  for (const names of children.values()) names.sort(compareNames);
  return children;
}

function compareNames(a: string, b: string): number {
  // UTF-16 order is bytewise order except between surrogates and the last characters of the first plane.
  return a < b ? -1 : a > b ? 1 : 0;
}
