import type { Database } from "bun:sqlite";
import { JsonReader } from "@slipway/base";

/** `labels` and `options` are JSON. */
export interface VolumeRow {
  readonly name: string;
  readonly driver: string;
  readonly created: number;
  readonly labels: string;
  readonly options: string;
  readonly anonymous: number;
}

export function insertRow(database: Database, row: VolumeRow): void {
  database
    .query("INSERT INTO engine_volumes VALUES (?, ?, ?, ?, ?, ?)")
    .run(row.name, row.driver, row.created, row.labels, row.options, row.anonymous);
}

export function deleteRow(database: Database, name: string): void {
  database.query("DELETE FROM engine_volumes WHERE name = ?").run(name);
}

/** A row that was put away as JSON. */
export function readRow(record: string): VolumeRow {
  const reader = JsonReader.parse(Buffer.from(record), "the record of a pruned volume");
  return {
    name: reader.field("name").string(),
    driver: reader.field("driver").string(),
    created: reader.field("created").number(),
    labels: reader.field("labels").string(),
    options: reader.field("options").string(),
    anonymous: reader.field("anonymous").number(),
  };
}

/** Whoever gives it a name means to keep it: it is not anonymous any more. */
export function renamedRow(row: VolumeRow, name: string): VolumeRow {
  const { "com.docker.volume.anonymous": _, ...labels } = JSON.parse(row.labels) as Record<string, string>;
  return { ...row, name, labels: JSON.stringify(labels), anonymous: 0 };
}
