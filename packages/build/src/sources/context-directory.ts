import { readlinkSync } from "node:fs";
import { posix } from "node:path";
import type { IgnoreMatcher } from "@slipway/dockerfile";
import { readXattrs, type WalkEntry, walkDirectory } from "@slipway/sys";
import { type ContextEntry, ContextSnapshot } from "./context-snapshot.ts";
import type { HashPool } from "./hash-pool.ts";
import { StatCache } from "./stat-cache.ts";

export interface ScanOptions {
  readonly ignore: IgnoreMatcher;
  /** The beginnings of the paths that matter; `""` is everything. */
  readonly paths: ReadonlySet<string>;
}

/** As many views of one directory (other ignore rules, other paths) are remembered. */
const MOST_SNAPSHOTS = 4;

/**
 * A directory that builds read in place. It remembers what it saw: a walk that finds everything as it was gives the
 * very same snapshot, with all that was computed from it.
 */
export class ContextDirectory {
  readonly root: string;
  readonly #hashes: HashPool;
  readonly #stats: StatCache;
  readonly #snapshots = new Map<string, ContextSnapshot>();

  constructor(root: string, options: { readonly hashes: HashPool; readonly statFile: string }) {
    this.root = root;
    this.#hashes = options.hashes;
    this.#stats = new StatCache(options.statFile);
  }

  scan(options: ScanOptions): ContextSnapshot {
    const snapshot = this.#scan(options);
    if (!snapshot.partial || !leadsElsewhere(snapshot, options.paths)) return snapshot;
    // A link among what is read may be followed to what was not looked at.
    return this.#scan({ ...options, paths: new Set([""]) });
  }

  #scan(options: ScanOptions): ContextSnapshot {
    const view = viewKey(options);
    const before = this.#snapshots.get(view);
    const found = new Scan(this.root, options, before).run();
    if (before !== undefined && found === before.entries && !before.young) return before;
    const snapshot = new ContextSnapshot(this.root, found, {
      ignore: options.ignore,
      hashes: this.#hashes,
      stats: this.#stats,
      partial: !options.paths.has(""),
    });
    this.#snapshots.delete(view);
    this.#snapshots.set(view, snapshot);
    for (const oldest of this.#snapshots.keys()) {
      if (this.#snapshots.size <= MOST_SNAPSHOTS) break;
      this.#snapshots.delete(oldest);
    }
    return snapshot;
  }

  /** Writes what was learned about files to the disk. */
  save(): Promise<void> {
    return this.#stats.save();
  }
}

function leadsElsewhere(snapshot: ContextSnapshot, paths: ReadonlySet<string>): boolean {
  const wanted = [...paths];
  return snapshot.entries.some(({ kind, path, target }) => {
    if (kind !== "symlink" || target === undefined) return false;
    const place = posix.join("/", target.startsWith("/") ? target : posix.join(posix.dirname(path), target)).slice(1);
    return !wanted.some((prefix) => place === prefix || place.startsWith(`${prefix}/`));
  });
}

function viewKey({ ignore, paths }: ScanOptions): string {
  const patterns = ignore.patterns.map(({ pattern, negated }) => [pattern, negated]);
  return JSON.stringify([patterns, [...paths].sort()]);
}

class Scan {
  readonly #root: string;
  readonly #ignore: IgnoreMatcher;
  readonly #paths: readonly string[] | undefined;
  readonly #before: readonly ContextEntry[] | undefined;
  readonly #entries: ContextEntry[] = [];
  /** Ignored directories that have something below them that is not, perhaps. */
  readonly #hidden = new Map<string, ContextEntry>();
  #next = 0;
  #same: boolean;

  constructor(root: string, options: ScanOptions, before: ContextSnapshot | undefined) {
    this.#root = root;
    this.#ignore = options.ignore;
    this.#paths = options.paths.has("") ? undefined : [...options.paths];
    this.#before = before?.entries;
    this.#same = before !== undefined;
  }

  /** The very list of the earlier scan when nothing changed. */
  run(): readonly ContextEntry[] {
    // Nothing of it is wanted (a Dockerfile without COPY): no walk.
    if (this.#paths?.length === 0) return this.#before ?? [];
    walkDirectory(this.#root, (entry) => this.#visit(entry));
    if (this.#same && this.#before !== undefined && this.#next === this.#before.length) return this.#before;
    return this.#entries;
  }

  #visit(walked: WalkEntry): "skip" | undefined {
    const before = this.#before?.[this.#next];
    if (before !== undefined && before.path === walked.path) {
      this.#next++;
      if (!walked.stat()) return this.#changed();
      const same = before.isAs(walked);
      if (!same) this.#same = false;
      if (before.ignored) {
        this.#hidden.set(walked.path, same ? before : newEntry(this.#root, walked, true));
        return undefined;
      }
      if (!same) return this.#add(walked);
      if (this.#hidden.size > 0) this.#showParents(walked.path);
      this.#entries.push(before);
      return undefined;
    }
    return this.#visitNew(walked);
  }

  #visitNew(walked: WalkEntry): "skip" | undefined {
    const { path } = walked;
    if (this.#paths !== undefined && !isWanted(path, this.#paths)) return "skip";
    if (!this.#ignore.empty && this.#ignore.ignores(path)) {
      if (walked.kind !== "dir" || this.#ignore.canPrune(path)) return "skip";
      if (walked.stat()) this.#hidden.set(path, newEntry(this.#root, walked, true));
      return undefined;
    }
    if (!walked.stat()) return this.#changed();
    this.#same = false;
    return this.#add(walked);
  }

  #add(walked: WalkEntry): undefined {
    if (this.#hidden.size > 0) this.#showParents(walked.path);
    this.#entries.push(newEntry(this.#root, walked));
  }

  /** A directory that is ignored belongs to the context once something below it does. */
  #showParents(path: string): void {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      const parent = path.slice(0, slash);
      const entry = this.#hidden.get(parent);
      if (entry === undefined) continue;
      this.#hidden.delete(parent);
      this.#entries.push(entry);
    }
  }

  #changed(): undefined {
    this.#same = false;
  }
}

/** Whether a path lies in one of the wanted places or on the way to one. */
function isWanted(path: string, wanted: readonly string[]): boolean {
  return wanted.some(
    (prefix) =>
      path === prefix ||
      (path.length > prefix.length
        ? path[prefix.length] === "/" && path.startsWith(prefix)
        : prefix.startsWith(`${path}/`)),
  );
}

function newEntry(root: string, walked: WalkEntry, ignored = false): ContextEntry {
  return new SeenEntry(root, walked, ignored);
}

/** An entry with all that tells whether it changed since. */
class SeenEntry implements ContextEntry {
  readonly path: string;
  readonly kind: ContextEntry["kind"];
  readonly mode: number;
  readonly uid = 0;
  readonly gid = 0;
  readonly size: number;
  readonly ino: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  readonly target?: string;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;

  readonly ignored: boolean;

  constructor(root: string, walked: WalkEntry, ignored: boolean) {
    this.ignored = ignored;
    this.path = walked.path;
    this.kind = walked.kind;
    this.mode = walked.mode;
    this.size = walked.kind === "file" ? walked.size : 0;
    this.ino = walked.ino;
    this.mtimeSeconds = walked.mtimeSeconds;
    this.mtimeNanoseconds = walked.mtimeNanoseconds;
    this.ctimeSeconds = walked.ctimeSeconds;
    this.ctimeNanoseconds = walked.ctimeNanoseconds;
    if (walked.kind === "symlink") this.target = readlinkSync(`${root}/${walked.path}`);
    if (walked.kind === "file" && (walked.mode & 0o111) !== 0) {
      const kept = capabilityOf(`${root}/${walked.path}`);
      if (kept !== undefined) this.xattrs = kept;
    }
  }

  get mtime(): bigint {
    return BigInt(this.mtimeSeconds) * 1_000_000_000n + BigInt(this.mtimeNanoseconds);
  }

  isAs(walked: WalkEntry): boolean {
    return (
      this.mtimeNanoseconds === walked.mtimeNanoseconds &&
      this.ctimeNanoseconds === walked.ctimeNanoseconds &&
      this.ctimeSeconds === walked.ctimeSeconds &&
      this.mtimeSeconds === walked.mtimeSeconds &&
      this.ino === walked.ino &&
      this.mode === walked.mode &&
      this.kind === walked.kind &&
      (this.kind !== "file" || this.size === walked.size)
    );
  }
}

/** Of a context's attributes only a file's capabilities mean something in an image. */
function capabilityOf(path: string): ReadonlyMap<string, Uint8Array> | undefined {
  const value = readXattrs(path).get("security.capability");
  return value === undefined ? undefined : new Map([["security.capability", value]]);
}
