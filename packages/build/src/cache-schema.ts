import type { MigrationSet } from "@slipway/store";

/** The build cache's tables in the store's database. */
export const BUILD_MIGRATIONS: MigrationSet = {
  name: "build",
  steps: [
    `
    -- What a step made. 'content_key' finds the same work under other circumstances: a copy of the same files with the
    -- same effect on another root. 'layer': whether it added one. 'ingredients' explains later misses.
    CREATE TABLE build_records (
      key TEXT PRIMARY KEY,
      content_key TEXT,
      chain_id TEXT,
      layer INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      last_used_at INTEGER NOT NULL,
      usage_count INTEGER NOT NULL,
      size INTEGER NOT NULL,
      description TEXT NOT NULL,
      ingredients TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX build_records_content ON build_records (content_key) WHERE content_key IS NOT NULL;

    -- Which record a step of a Dockerfile had last time.
    CREATE TABLE build_steps (
      scope TEXT NOT NULL,
      stage TEXT NOT NULL,
      text TEXT NOT NULL,
      position INTEGER NOT NULL,
      key TEXT NOT NULL,
      seen_at INTEGER NOT NULL,
      PRIMARY KEY (scope, stage, text)
    ) STRICT, WITHOUT ROWID;

    -- The files that went into a copy, compressed, so that a change can be named.
    CREATE TABLE build_manifests (
      digest TEXT PRIMARY KEY,
      data BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE build_cache_mounts (
      id TEXT PRIMARY KEY,
      directory TEXT NOT NULL UNIQUE,
      created_at INTEGER NOT NULL,
      last_used_at INTEGER NOT NULL,
      usage_count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE build_downloads (
      url TEXT PRIMARY KEY,
      digest TEXT NOT NULL,
      etag TEXT,
      last_modified TEXT
    ) STRICT, WITHOUT ROWID;
    `,
  ],
};
