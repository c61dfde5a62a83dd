import type { MigrationSet } from "@slipway/store";

/** The engine's tables in the store's database. Published steps never change; new ones are appended. */
export const engineMigrations: MigrationSet = {
  name: "engine",
  steps: [
    `CREATE TABLE engine_containers (
       id TEXT PRIMARY KEY,
       name TEXT NOT NULL UNIQUE,
       definition TEXT NOT NULL,
       state TEXT NOT NULL,
       manually_stopped INTEGER NOT NULL DEFAULT 0
     ) STRICT;
     CREATE TABLE engine_volumes (
       name TEXT PRIMARY KEY,
       driver TEXT NOT NULL,
       created INTEGER NOT NULL,
       labels TEXT NOT NULL,
       options TEXT NOT NULL,
       anonymous INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE engine_facts (
       key TEXT PRIMARY KEY,
       value TEXT NOT NULL
     ) STRICT;`,
    `CREATE TABLE engine_events (
       seq INTEGER PRIMARY KEY AUTOINCREMENT,
       event TEXT NOT NULL
     ) STRICT;`,
    `CREATE TABLE engine_last_uses (
       kind TEXT NOT NULL,
       id TEXT NOT NULL,
       at INTEGER NOT NULL,
       PRIMARY KEY (kind, id)
     ) STRICT, WITHOUT ROWID;`,
  ],
};
