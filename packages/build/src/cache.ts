import type { Database } from "bun:sqlite";
import { type ChainId, type Digest, digestOf } from "@slipway/oci";
import type { Root } from "@slipway/store";
import type { Ingredients } from "./ingredients.ts";
import { decodeManifest, encodeManifest, type FileManifest } from "./manifest.ts";

/** What a step made once, and from what. */
export interface StepRecord {
  readonly key: Digest;
  readonly contentKey?: Digest;
  /** The resulting root; undefined is an empty one. */
  readonly chainId?: ChainId;
  /** Whether the step added a layer. */
  readonly layer: boolean;
  /** When the layer was made, milliseconds: it goes into the image's history. */
  readonly createdAt: number;
  /** Bytes. */
  readonly size: number;
  readonly description: string;
  readonly ingredients: Ingredients;
}

/** A step's place, by which a later build finds what it made before. */
export interface StepPlace {
  /** The Dockerfile and its context. */
  readonly scope: string;
  readonly stage: string;
  readonly text: string;
  readonly position: number;
}

interface RecordRow {
  readonly key: Digest;
  readonly content_key: Digest | null;
  readonly chain_id: ChainId | null;
  readonly layer: number;
  readonly created_at: number;
  readonly last_used_at: number;
  readonly usage_count: number;
  readonly size: number;
  readonly description: string;
  readonly ingredients: string;
}

export interface RecordUse extends StepRecord {
  readonly lastUsedAt: number;
  readonly usageCount: number;
}

/** The records of the build cache. Every layer that a record names is kept by the collector until the record goes. */
export class BuildCache {
  readonly #database: Database;
  /** Keys that running builds rely on, with how many do. */
  readonly #pinned = new Map<Digest, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  find(key: Digest): StepRecord | undefined {
    const row = this.#database.query<RecordRow, [string]>("SELECT * FROM build_records WHERE key = ?").get(key);
    return row === null ? undefined : recordOf(row);
  }

  /** The oldest record with this content key: its times are those that images have already. */
  findByContent(contentKey: Digest): StepRecord | undefined {
    const sql = "SELECT * FROM build_records WHERE content_key = ? ORDER BY created_at LIMIT 1";
    const row = this.#database.query<RecordRow, [string]>(sql).get(contentKey);
    return row === null ? undefined : recordOf(row);
  }

  /** Keeps a record, in place of an older one of the same key. Its layers must be in the store, under a lease. */
  add(record: StepRecord, manifests: ReadonlyMap<Digest, FileManifest> = new Map()): void {
    const now = Date.now();
    this.#database.transaction(() => {
      const insert = this.#database.query("INSERT OR IGNORE INTO build_manifests VALUES (?, ?)");
      for (const [digest, manifest] of manifests) insert.run(digest, encodeManifest(manifest));
      this.#database
        .query(
          `INSERT INTO build_records VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9)
           ON CONFLICT (key) DO UPDATE SET content_key = ?2, chain_id = ?3, layer = ?4, created_at = ?5,
             last_used_at = ?6, usage_count = usage_count + 1, size = ?7, description = ?8, ingredients = ?9`,
        )
        .run(
          record.key,
          record.contentKey ?? null,
          record.chainId ?? null,
          record.layer ? 1 : 0,
          record.createdAt,
          now,
          record.size,
          record.description,
          JSON.stringify(record.ingredients),
        );
    })();
  }

  hasManifest(digest: Digest): boolean {
    return this.#database.query("SELECT 1 FROM build_manifests WHERE digest = ?").get(digest) !== null;
  }

  manifest(digest: Digest): FileManifest | undefined {
    const sql = "SELECT data FROM build_manifests WHERE digest = ?";
    const row = this.#database.query<{ data: Uint8Array }, [string]>(sql).get(digest);
    return row === null ? undefined : decodeManifest(row.data);
  }

  /** What the step had last time: the same instruction of the stage, or else what stood in its place. */
  previous(
    place: StepPlace,
  ): { readonly key: Digest; readonly text: string; readonly record?: StepRecord } | undefined {
    const { scope, stage, text, position } = place;
    type Row = { key: Digest; text: string };
    const same = this.#database
      .query<Row, [string, string, string]>(
        "SELECT key, text FROM build_steps WHERE scope = ? AND stage = ? AND text = ?",
      )
      .get(scope, stage, text);
    const other = () =>
      this.#database
        .query<Row, [string, string, number]>(
          "SELECT key, text FROM build_steps WHERE scope = ? AND stage = ? AND position = ? ORDER BY seen_at DESC LIMIT 1",
        )
        .get(scope, stage, position);
    const row = same ?? other();
    if (row === null) return undefined;
    const record = this.find(row.key);
    return { key: row.key, text: row.text.split("\0")[0] ?? "", ...(record && { record }) };
  }

  /** Notes after a build which records its steps had, and that they were used. One transaction. */
  noteUse(uses: readonly { readonly place: StepPlace; readonly key: Digest; readonly cached: boolean }[]): void {
    if (uses.length === 0) return;
    const now = Date.now();
    this.#database.transaction(() => {
      const step = this.#database.query(
        `INSERT INTO build_steps VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (scope, stage, text) DO UPDATE SET position = ?4, key = ?5, seen_at = ?6
         WHERE key <> ?5 OR position <> ?4 OR seen_at < ?6 - 3600000`,
      );
      const used = this.#database.query(
        "UPDATE build_records SET last_used_at = ?2, usage_count = usage_count + 1 WHERE key = ?1",
      );
      for (const { place, key, cached } of uses) {
        step.run(place.scope, place.stage, place.text, place.position, key, now);
        if (cached) used.run(key, now);
      }
    })();
  }

  /** Until the returned function is called, pruning leaves the record alone. */
  pin(key: Digest): () => void {
    this.#pinned.set(key, (this.#pinned.get(key) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const count = (this.#pinned.get(key) ?? 1) - 1;
      if (count === 0) this.#pinned.delete(key);
      else this.#pinned.set(key, count);
    };
  }

  isPinned(key: Digest): boolean {
    return this.#pinned.has(key);
  }

  all(): RecordUse[] {
    return this.#database
      .query<RecordRow, []>("SELECT * FROM build_records ORDER BY last_used_at")
      .all()
      .map((row) => ({ ...recordOf(row), lastUsedAt: row.last_used_at, usageCount: row.usage_count }));
  }

  remove(keys: readonly Digest[]): void {
    this.#database.transaction(() => {
      const remove = this.#database.query("DELETE FROM build_records WHERE key = ?");
      for (const key of keys) remove.run(key);
      this.#dropUnusedManifests();
    })();
  }

  /** For the store's collector. */
  *roots(without: ReadonlySet<Digest> = new Set()): Generator<Root> {
    const sql = "SELECT key, chain_id, description FROM build_records WHERE chain_id IS NOT NULL";
    const rows = this.#database.query<{ key: Digest; chain_id: ChainId; description: string }, []>(sql).all();
    for (const { key, chain_id: chainId, description } of rows) {
      if (without.has(key)) continue;
      yield { kind: "layer", chainId, reason: `build cache: ${description}` };
    }
  }

  #dropUnusedManifests(): void {
    const kept = new Set<string>();
    const rows = this.#database.query<{ ingredients: string }, []>("SELECT ingredients FROM build_records").all();
    for (const { ingredients } of rows) {
      for (const { manifest } of (JSON.parse(ingredients) as Ingredients).inputs) if (manifest) kept.add(manifest);
    }
    const remove = this.#database.query("DELETE FROM build_manifests WHERE digest = ?");
    const all = this.#database.query<{ digest: string }, []>("SELECT digest FROM build_manifests").all();
    for (const { digest } of all) if (!kept.has(digest)) remove.run(digest);
  }
}

/** A key from its parts. */
export function cacheKey(kind: string, parts: readonly (string | null)[]): Digest {
  return digestOf(JSON.stringify([kind, ...parts]));
}

function recordOf(row: RecordRow): StepRecord {
  return {
    key: row.key,
    ...(row.content_key !== null && { contentKey: row.content_key }),
    ...(row.chain_id !== null && { chainId: row.chain_id }),
    layer: row.layer === 1,
    createdAt: row.created_at,
    size: row.size,
    description: row.description,
    ingredients: JSON.parse(row.ingredients) as Ingredients,
  };
}
