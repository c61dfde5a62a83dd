import { SlipwayError } from "@slipway/base";
import type { FileContent, LayerEntry } from "@slipway/store";
import type { TreeEntry } from "../sources/file-tree.ts";
import type { CopyAction } from "./copy-action.ts";
import type { DestinationFacts } from "./destination.ts";
import { type ModeChange, parseMode } from "./mode.ts";
import type { Owner } from "./owner.ts";
import type { SelectedItem, SelectedSource } from "./selection.ts";

export interface EntryOptions {
  readonly facts: DestinationFacts;
  /** For everything copied; as in the source when absent. */
  readonly owner?: Owner;
  readonly chmod?: string;
  /** Seconds; for everything. */
  readonly epoch?: number;
  /** Content that need not be read from its source again. */
  readonly reuse?: (entry: TreeEntry, layerPath: string) => FileContent | undefined;
}

/** A source with the place that it goes to: relative, `""` is the root. */
export interface PlacedSource {
  readonly base: string;
  readonly source: SelectedSource;
}

/**
 * Where each source goes: a directory's contents into the destination, a file into it if it is a directory (or is
 * written as one), else onto it.
 */
export function placeSources(
  action: CopyAction,
  sources: readonly SelectedSource[],
  facts: DestinationFacts,
): PlacedSource[] {
  const target = facts.target.slice(1);
  let isDirectory = facts.kind === "dir" || action.destination.endsWith("/") || target === "";
  return sources.map((source) => {
    if (source.kind !== "file") {
      if (facts.kind === "other") throw new SlipwayError("invalid", `cannot copy to non-directory: /${target}`);
      isDirectory = true;
      return { base: target, source };
    }
    if (!isDirectory) return { base: target, source };
    return { base: target === "" ? source.name : `${target}/${source.name}`, source };
  });
}

/** Collects layer entries by path, so that later sources replace what earlier ones put there. */
export class EntrySet {
  readonly #entries = new Map<string, LayerEntry>();
  readonly #links = new Map<string, string>();
  readonly #options: EntryOptions;
  readonly #mode: ModeChange | undefined;
  #newest = 0n;

  constructor(options: EntryOptions) {
    this.#options = options;
    this.#mode = options.chmod === undefined ? undefined : parseMode(options.chmod);
  }

  get size(): number {
    return this.#entries.size;
  }

  add({ base, source }: PlacedSource): void {
    for (const item of source.items) this.#addItem(base, source, item);
    if (source.kind === "contents") this.#wanted.add(base);
  }

  /** A file that exists in no tree: a heredoc. */
  addFile(path: string, bytes: Uint8Array): void {
    const { owner } = this.#options;
    const mtime = this.#time(0n);
    const mode = this.#mode?.(0o644, false) ?? 0o644;
    this.#put({
      path,
      kind: "file",
      mode,
      uid: owner?.uid ?? 0,
      gid: owner?.gid ?? 0,
      mtime,
      content: { from: "bytes", bytes },
    });
  }

  addEntry(entry: LayerEntry): void {
    if (entry.kind !== "whiteout" && entry.mtime > this.#newest) this.#newest = entry.mtime;
    this.#put(entry);
  }

  /** A directory that has to be there in the end. */
  require(path: string): void {
    this.#wanted.add(path);
  }

  readonly #wanted = new Set<string>();

  /** All entries, with every directory above them. */
  entries(): LayerEntry[] {
    const known = new Map(this.#options.facts.directories.map((fact) => [fact.path, fact]));
    const missing = new Set<string>();
    const note = (path: string) => {
      for (let at = path; at !== "" && !this.#entries.has(at) && !missing.has(at); at = parentOf(at)) missing.add(at);
    };
    for (const path of this.#entries.keys()) note(parentOf(path));
    for (const path of this.#wanted) note(path);
    const { owner } = this.#options;
    const mtime = this.#time(this.#newest);
    const parents = [...missing].map((path): LayerEntry => {
      const fact = known.get(path);
      if (fact !== undefined) return { ...fact, kind: "dir", mtime };
      return { path, kind: "dir", mode: 0o755, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0, mtime };
    });
    return [...parents, ...this.#entries.values()];
  }

  #addItem(base: string, source: SelectedSource, { path: relative, entry }: SelectedItem): void {
    const path = relative === "" ? base : base === "" ? relative : `${base}/${relative}`;
    const { facts } = this.#options;
    const owner = source.unpacked ? undefined : this.#options.owner;
    const change = source.unpacked ? undefined : this.#mode;
    if (source.kind === "merged" && entry.kind === "dir" && this.#exists(facts, path)) return;
    const mtime = this.#time(entry.mtime);
    if (entry.mtime > this.#newest) this.#newest = entry.mtime;
    const mode = entry.kind === "symlink" ? 0o777 : (change?.(entry.mode, entry.kind === "dir") ?? entry.mode);
    const metadata = { path, mode, uid: owner?.uid ?? entry.uid, gid: owner?.gid ?? entry.gid, mtime };
    const made = this.#makeEntry(source, entry, metadata);
    if (made !== undefined) this.#put(made);
  }

  #exists(facts: DestinationFacts, path: string): boolean {
    return this.#entries.has(path) || facts.directories.some((fact) => fact.path === path);
  }

  #makeEntry(source: SelectedSource, entry: TreeEntry, metadata: Metadata): LayerEntry | undefined {
    const xattrs = entry.xattrs === undefined ? {} : { xattrs: entry.xattrs };
    switch (entry.kind) {
      case "dir":
        return { ...metadata, ...xattrs, kind: "dir" };
      case "symlink":
        return { ...metadata, kind: "symlink", target: entry.target ?? "" };
      case "char":
      case "block":
        return { ...metadata, kind: entry.kind, major: entry.major ?? 0, minor: entry.minor ?? 0 };
      case "fifo":
        return { ...metadata, kind: "fifo" };
      case "socket":
        // A socket is a process' ear, not content.
        return undefined;
      case "file": {
        const first = entry.link === undefined ? undefined : this.#links.get(entry.link);
        if (first !== undefined && this.#entries.has(first)) return { ...metadata, kind: "link", target: first };
        if (entry.link !== undefined) this.#links.set(entry.link, metadata.path);
        const content = this.#options.reuse?.(entry, metadata.path) ?? source.tree.content(entry);
        return { ...metadata, ...xattrs, kind: "file", content };
      }
    }
  }

  #put(entry: LayerEntry): void {
    const before = this.#entries.get(entry.path);
    if (before?.kind === "dir" && entry.kind !== "dir") {
      throw new SlipwayError("invalid", `cannot replace directory /${entry.path} with a file`);
    }
    if (before !== undefined && before.kind !== "dir" && entry.kind === "dir") {
      throw new SlipwayError("invalid", `cannot copy to non-directory: /${entry.path}`);
    }
    this.#entries.set(entry.path, entry);
  }

  #time(time: bigint): bigint {
    const { epoch } = this.#options;
    return epoch === undefined ? time : BigInt(epoch) * 1_000_000_000n;
  }
}

interface Metadata {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: bigint;
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}
