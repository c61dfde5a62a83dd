import type { Database } from "bun:sqlite";
import type { Descriptor, DiffId, Digest } from "@slipway/oci";
import type { MigrationSet } from "@slipway/store";

/** The tables of the registry client. */
export const registryMigrations: MigrationSet = {
  name: "registry",
  steps: [
    `
    -- Where blobs have been seen: a registry that has one in another repository can mount it.
    CREATE TABLE registry_places (
      digest TEXT NOT NULL,
      domain TEXT NOT NULL,
      path TEXT NOT NULL,
      seen_at INTEGER NOT NULL,
      PRIMARY KEY (digest, domain, path)
    ) STRICT, WITHOUT ROWID;

    -- What a layer's tar became when it was compressed: 'form' names the way, so the same way gives the same blob again.
    CREATE TABLE registry_compressed (
      diff_id TEXT NOT NULL,
      form TEXT NOT NULL,
      media_type TEXT NOT NULL,
      digest TEXT NOT NULL,
      size INTEGER NOT NULL,
      PRIMARY KEY (diff_id, form)
    ) STRICT, WITHOUT ROWID;
    `,
  ],
};

/** Places of one blob that are kept: a mount needs one that still is there. */
const MOST_PLACES = 8;

/** What is remembered of registries, so that less travels. It may be out of date: who uses it must ask. */
export class KnownBlobs {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  seen(digest: Digest, domain: string, path: string): void {
    this.#database
      .query(
        `INSERT INTO registry_places (digest, domain, path, seen_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at`,
      )
      .run(digest, domain, path, Date.now());
  }

  gone(digest: Digest, domain: string, path: string): void {
    this.#database
      .query("DELETE FROM registry_places WHERE digest = ? AND domain = ? AND path = ?")
      .run(digest, domain, path);
  }

  /** Repositories of a registry that had a blob, the last seen first. */
  places(digest: Digest, domain: string): string[] {
    const sql = "SELECT path FROM registry_places WHERE digest = ? AND domain = ? ORDER BY seen_at DESC LIMIT ?";
    return this.#database
      .query<{ path: string }, [string, string, number]>(sql)
      .all(digest, domain, MOST_PLACES)
      .map(({ path }) => path);
  }

  compressed(diffId: DiffId, form: string): Descriptor | undefined {
    const sql = "SELECT media_type AS mediaType, digest, size FROM registry_compressed WHERE diff_id = ? AND form = ?";
    return this.#database.query<Descriptor, [string, string]>(sql).get(diffId, form) ?? undefined;
  }

  remember(diffId: DiffId, form: string, { mediaType, digest, size }: Descriptor): void {
    this.#database
      .query(
        "INSERT OR REPLACE INTO registry_compressed (diff_id, form, media_type, digest, size) VALUES (?, ?, ?, ?, ?)",
      )
      .run(diffId, form, mediaType, digest, size);
  }
}
