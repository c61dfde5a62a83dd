import type { Database } from "bun:sqlite";
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { KeyedLock, randomId } from "@slipway/base";
import { walkDirectory } from "@slipway/sys";

export interface CacheMountRequest {
  readonly id: string;
  readonly sharing: "shared" | "private" | "locked";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Fills a directory that is made for the first time. */
  readonly fill?: (directory: string) => Promise<void>;
}

export interface HeldCacheMount {
  readonly path: string;
  release(): void;
}

interface MountRow {
  readonly id: string;
  readonly directory: string;
  readonly created_at: number;
  readonly last_used_at: number;
  readonly usage_count: number;
}

export interface CacheMountUse {
  readonly id: string;
  readonly directory: string;
  readonly size: number;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly usageCount: number;
  readonly inUse: boolean;
}

/** The directories of `RUN --mount=type=cache`, which outlive builds. */
export class CacheMounts {
  readonly #database: Database;
  readonly #root: string;
  readonly #locks = new KeyedLock();
  readonly #making = new KeyedLock();
  /** Users of each directory. */
  readonly #users = new Map<string, number>();

  constructor(database: Database, root: string) {
    this.#database = database;
    this.#root = root;
  }

  /** `locked` waits for the others; `private` gets a directory of its own while another step is in this one. */
  async take(request: CacheMountRequest, signal: AbortSignal): Promise<HeldCacheMount> {
    const unlock = request.sharing === "locked" ? await this.#locks.acquire(request.id, signal) : undefined;
    try {
      // Counted before anybody else may look for a directory that is free.
      const take = async () => {
        const row = await this.#row(request);
        this.#users.set(row.directory, (this.#users.get(row.directory) ?? 0) + 1);
        return row;
      };
      const row = await this.#making.with(request.id, take, signal);
      let held = true;
      const release = () => {
        if (!held) return;
        held = false;
        this.#users.set(row.directory, (this.#users.get(row.directory) ?? 1) - 1);
        unlock?.();
      };
      return { path: join(this.#root, row.directory), release };
    } catch (error) {
      unlock?.();
      throw error;
    }
  }

  list(): CacheMountUse[] {
    return this.#rows().map((row) => ({
      id: row.id.split("\0")[0] ?? "",
      directory: row.directory,
      size: directorySize(join(this.#root, row.directory)),
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
      usageCount: row.usage_count,
      inUse: this.#inUse(row.directory),
    }));
  }

  remove(directory: string): void {
    if (this.#inUse(directory)) return;
    this.#database.query("DELETE FROM build_cache_mounts WHERE directory = ?").run(directory);
    rmSync(join(this.#root, directory), { recursive: true, force: true });
  }

  #inUse(directory: string): boolean {
    return (this.#users.get(directory) ?? 0) > 0;
  }

  async #row(request: CacheMountRequest): Promise<MountRow> {
    const now = Date.now();
    for (let copy = 0; ; copy++) {
      const id = copy === 0 ? request.id : `${request.id}\0${copy}`;
      const known = this.#rows().find((row) => row.id === id && existsSync(join(this.#root, row.directory)));
      if (known !== undefined && request.sharing === "private" && this.#inUse(known.directory)) continue;
      if (known === undefined) return this.#make(id, request, now);
      this.#database
        .query("UPDATE build_cache_mounts SET last_used_at = ?2, usage_count = usage_count + 1 WHERE id = ?1")
        .run(id, now);
      return known;
    }
  }

  /** Filled under another name first: a crash leaves no half-filled cache that looks complete. */
  async #make(id: string, request: CacheMountRequest, now: number): Promise<MountRow> {
    const directory = randomId().slice(0, 24);
    const [unfinished, path] = [join(this.#root, `${directory}.new`), join(this.#root, directory)];
    mkdirSync(unfinished, { recursive: true });
    await request.fill?.(unfinished);
    chownSync(unfinished, request.uid, request.gid);
    chmodSync(unfinished, request.mode);
    renameSync(unfinished, path);
    this.#database
      .query("INSERT OR REPLACE INTO build_cache_mounts VALUES (?1, ?2, ?3, ?3, 1)")
      .run(id, directory, now);
    return { id, directory, created_at: now, last_used_at: now, usage_count: 1 };
  }

  #rows(): MountRow[] {
    return this.#database.query<MountRow, []>("SELECT * FROM build_cache_mounts").all();
  }
}

function directorySize(path: string): number {
  let bytes = 0;
  try {
    walkDirectory(path, (entry) => {
      if (entry.kind === "file" && entry.stat()) bytes += entry.size;
    });
  } catch {
    // Removed meanwhile.
  }
  return bytes;
}
