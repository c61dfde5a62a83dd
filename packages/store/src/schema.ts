import type { MigrationSet } from "./migrations.ts";

/**
 * `unsynced` is the boot (and the round in it) in which the files of a row were written, until `syncfs` has put them on
 * the disk; see disk-sync.ts. Everything else is explained where it is used.
 */
export const STORE_MIGRATIONS: MigrationSet = {
  name: "store",
  steps: [
    `
    CREATE TABLE blobs (
      digest TEXT PRIMARY KEY,
      size INTEGER NOT NULL,
      unsynced TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX blobs_unsynced ON blobs (unsynced) WHERE unsynced IS NOT NULL;

    -- What layers with the same diff ID share. 'bound': the tree depends on the layers below it.
    -- 'root': metadata of the root directory as JSON, when the layer says anything about it.
    CREATE TABLE diffs (
      diff_id TEXT PRIMARY KEY,
      tar_size INTEGER NOT NULL,
      size INTEGER NOT NULL,
      bound INTEGER NOT NULL,
      root TEXT,
      tar TEXT REFERENCES blobs (digest),
      compression TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX diffs_tar ON diffs (tar);

    -- 'key' is the diff ID, or the chain ID when the tree is bound.
    -- 'canonical': the tar of this tree has the diff ID as its digest, so the tar can be made from it.
    CREATE TABLE trees (
      key TEXT PRIMARY KEY,
      diff_id TEXT NOT NULL REFERENCES diffs (diff_id) ON DELETE CASCADE,
      directory TEXT NOT NULL UNIQUE,
      canonical INTEGER NOT NULL,
      unsynced TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX trees_diff ON trees (diff_id);
    CREATE INDEX trees_unsynced ON trees (unsynced) WHERE unsynced IS NOT NULL;

    CREATE TABLE layers (
      chain_id TEXT PRIMARY KEY,
      parent TEXT REFERENCES layers (chain_id),
      diff_id TEXT NOT NULL REFERENCES diffs (diff_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX layers_parent ON layers (parent);
    CREATE INDEX layers_diff ON layers (diff_id);

    -- Only persistent ones; the others are known to the process that made them.
    CREATE TABLE writables (
      id TEXT PRIMARY KEY,
      parent TEXT REFERENCES layers (chain_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX writables_parent ON writables (parent);

    CREATE TABLE images (
      id TEXT PRIMARY KEY REFERENCES blobs (digest),
      target TEXT NOT NULL,
      manifest TEXT NOT NULL REFERENCES blobs (digest),
      top TEXT REFERENCES layers (chain_id),
      size INTEGER NOT NULL,
      stored_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX images_top ON images (top);

    CREATE TABLE names (
      name TEXT PRIMARY KEY,
      image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX names_image ON names (image);

    CREATE TABLE repo_digests (
      name TEXT NOT NULL,
      image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
      PRIMARY KEY (name, image)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX repo_digests_image ON repo_digests (image);
    `,
    `
    -- Layers that have arrived and belong to no image yet: of a pull that goes on, or that broke off and may be tried
    -- again. Kept until 'until', milliseconds since the epoch.
    CREATE TABLE arrivals (
      diff_id TEXT PRIMARY KEY REFERENCES diffs (diff_id) ON DELETE CASCADE,
      until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    `,
  ],
};
