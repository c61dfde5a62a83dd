import type { Database } from "bun:sqlite";
import { SlipwayError } from "@slipway/base";
import {
  type ChainId,
  type Descriptor,
  type Digest,
  formatReference,
  type ImageId,
  parseReference,
  type Reference,
} from "@slipway/oci";

export interface ImageRow {
  readonly id: ImageId;
  readonly target: Descriptor;
  readonly manifest: Digest;
  readonly top: ChainId | null;
  readonly size: number;
  readonly storedAt: number;
}

interface RawRow extends Omit<ImageRow, "target"> {
  readonly target: string;
}

const COLUMNS = "id, target, manifest, top, size, stored_at AS storedAt";

/** The rows of images and their names. */
export class ImageTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(id: ImageId): ImageRow | undefined {
    const row = this.#database.query<RawRow, [string]>(`SELECT ${COLUMNS} FROM images WHERE id = ?`).get(id);
    return row === null ? undefined : parsed(row);
  }

  /** Newest first, as Docker lists them. */
  all(): ImageRow[] {
    const sql = `SELECT ${COLUMNS} FROM images ORDER BY stored_at DESC, id`;
    return this.#database.query<RawRow, []>(sql).all().map(parsed);
  }

  /** Images whose ID begins with hexadecimal digits; at most two, which is enough to know that it is ambiguous. */
  beginningWith(hex: string): ImageId[] {
    // Bounds instead of LIKE: the index of the key serves, and nothing in `hex` has a meaning.
    const sql = "SELECT id FROM images WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2";
    return this.#database
      .query<{ id: ImageId }, [string]>(sql)
      .all(`sha256:${hex}`)
      .map(({ id }) => id);
  }

  byName(name: Reference): ImageId | undefined {
    const sql = "SELECT image FROM names WHERE name = ?";
    return this.#database.query<{ image: ImageId }, [string]>(sql).get(formatReference(name))?.image;
  }

  byRepoDigest(name: Reference): ImageId | undefined {
    const sql = "SELECT image FROM repo_digests WHERE name = ?";
    return this.#database.query<{ image: ImageId }, [string]>(sql).get(formatReference(name))?.image;
  }

  names(id: ImageId): Reference[] {
    const sql = "SELECT name FROM names WHERE image = ? ORDER BY name";
    return this.#database
      .query<{ name: string }, [string]>(sql)
      .all(id)
      .map(({ name }) => parseReference(name));
  }

  repoDigests(id: ImageId): Reference[] {
    const sql = "SELECT name FROM repo_digests WHERE image = ? ORDER BY name";
    return this.#database
      .query<{ name: string }, [string]>(sql)
      .all(id)
      .map(({ name }) => parseReference(name));
  }

  allNames(): string[] {
    return this.#database
      .query<{ name: string }, []>("SELECT name FROM names")
      .all()
      .map(({ name }) => name);
  }

  /** The record and its names in one transaction: either all of it is there or nothing. */
  put(row: ImageRow, names: readonly Reference[]): void {
    this.#database.transaction(() => {
      this.#database
        .query(
          `INSERT INTO images (id, target, manifest, top, size, stored_at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET target = excluded.target, manifest = excluded.manifest`,
        )
        .run(row.id, JSON.stringify(row.target), row.manifest, row.top, row.size, row.storedAt);
      for (const name of names) this.addName(row.id, name);
    })();
  }

  /** A tagged name moves here from whatever had it; a name with a digest is added. */
  addName(id: ImageId, name: Reference): void {
    if (name.digest !== undefined) {
      const { domain, path, digest } = name;
      this.#database
        .query("INSERT OR IGNORE INTO repo_digests (name, image) VALUES (?, ?)")
        .run(formatReference({ domain, path, digest }), id);
    }
    if (name.tag === undefined) return;
    const { domain, path, tag } = name;
    this.#database
      .query("INSERT INTO names (name, image) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET image = ?2")
      .run(formatReference({ domain, path, tag }), id);
  }

  /** Removes a name with a tag, or one with a digest, which several images can have: of `image` only. Throws `not-found`. */
  removeName(name: Reference, image?: ImageId): ImageId {
    const table = name.tag === undefined ? "repo_digests" : "names";
    const text = formatReference(name);
    const row = this.#database
      .query<{ image: ImageId }, [string, string | null]>(
        `DELETE FROM ${table} WHERE name = ?1 AND (?2 IS NULL OR image = ?2) RETURNING image`,
      )
      .get(text, image ?? null);
    if (row === null) throw new SlipwayError("not-found", `no image has the name ${text}`);
    return row.image;
  }

  remove(id: ImageId): boolean {
    return this.#database.query("DELETE FROM images WHERE id = ?").run(id).changes > 0;
  }
}

function parsed(row: RawRow): ImageRow {
  return { ...row, target: JSON.parse(row.target) as Descriptor };
}
