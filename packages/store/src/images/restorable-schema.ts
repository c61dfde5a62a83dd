import type { MigrationSet } from "../migrations.ts";

/** `record` is JSON of whoever had the thing: all that brings it back. Times in milliseconds since the epoch. */
export const RESTORABLE_MIGRATIONS: MigrationSet = {
  name: "restorable",
  steps: [
    `CREATE TABLE restorables (
       seq INTEGER PRIMARY KEY AUTOINCREMENT,
       id TEXT NOT NULL UNIQUE,
       batch TEXT NOT NULL,
       kind TEXT NOT NULL,
       name TEXT NOT NULL,
       record TEXT NOT NULL,
       bytes INTEGER NOT NULL,
       taken_at INTEGER NOT NULL,
       until INTEGER NOT NULL
     ) STRICT;`,
  ],
};
