import type { Database } from "bun:sqlite";
import { SlipwayError } from "@slipway/base";

/** The tables of one package: steps of SQL that are run once each, in order. Published steps never change; append. */
export interface MigrationSet {
  /** The package's name; its tables begin with it where they could be mistaken. */
  readonly name: string;
  readonly steps: readonly string[];
}

/** Brings the database to the newest step of each set; each step is one transaction, so a crash leaves whole steps. */
export function migrate(database: Database, sets: readonly MigrationSet[]): void {
  database.run("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, step INTEGER NOT NULL) STRICT");
  for (const set of sets) {
    const row = database.query<{ step: number }, [string]>("SELECT step FROM migrations WHERE name = ?").get(set.name);
    const done = row?.step ?? 0;
    if (done > set.steps.length) {
      throw new SlipwayError("conflict", `the data root was written by a newer version (${set.name} ${done})`, {
        hint: "Start the newer version, or give this one another --data-root.",
      });
    }
    set.steps.slice(done).forEach((step, index) => {
      database.transaction(() => {
        database.run(step);
        database.run("INSERT INTO migrations VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET step = ?2", [
          set.name,
          done + index + 1,
        ]);
      })();
    });
  }
}
