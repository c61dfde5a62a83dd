/** Writes records: all requests that are waiting become one transaction, so that many pushes share one wait for the disk. */
import { Database, type Statement } from "bun:sqlite";
import type { Change } from "./records.ts";

export type RecordsRequest =
  | { readonly open: string }
  | { readonly id: number; readonly change: Change }
  | { readonly id: number; readonly remove: string; readonly unless: string }
  | { readonly id: number; readonly close: true };

export interface RecordsReply {
  readonly id: number;
  readonly missing?: readonly string[];
  readonly removed?: boolean;
  readonly error?: string;
  readonly full?: boolean;
}

type Work = Exclude<RecordsRequest, { readonly open: string }>;

declare const self: Worker;

const SCHEMA = "CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID";

let writer: Writer | undefined;
let queue: Work[] = [];

self.onmessage = (event: MessageEvent<RecordsRequest>) => {
  const request = event.data;
  if ("open" in request) {
    writer = openWriter(request.open);
    self.postMessage({ id: -1 } satisfies RecordsReply);
    return;
  }
  queue.push(request);
  if (queue.length === 1) setImmediate(drain);
};

interface Writer {
  readonly database: Database;
  readonly has: Statement<unknown, [string]>;
  readonly removeValue: Statement<unknown, [string, Uint8Array]>;
  readonly below: Statement<unknown, [string, string]>;
  readonly put: Statement<unknown, [string, Uint8Array]>;
  readonly remove: Statement<unknown, [string]>;
}

function openWriter(path: string): Writer {
  const database = new Database(path, { create: true, readwrite: true });
  database.run("PRAGMA journal_mode = WAL");
  // Each commit waits for the disk: what was acknowledged to a client survives a power cut.
  database.run("PRAGMA synchronous = FULL");
  // A collection may run as a process of its own beside the server.
  database.run("PRAGMA busy_timeout = 10000");
  database.run(SCHEMA);
  return {
    database,
    has: database.query("SELECT 1 FROM record WHERE key = ?1"),
    below: database.query("SELECT 1 FROM record WHERE key > ?1 AND key < ?2 LIMIT 1"),
    put: database.query("INSERT INTO record (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2"),
    remove: database.query("DELETE FROM record WHERE key = ?1"),
    removeValue: database.query("DELETE FROM record WHERE key = ?1 AND value = ?2"),
  };
}

function drain(): void {
  const work = queue;
  queue = [];
  if (writer === undefined) return;
  const { database } = writer;
  let replies: RecordsReply[];
  try {
    database.run("BEGIN IMMEDIATE");
    const prepared = writer;
    replies = work.map((request) => perform(request, prepared));
    database.run("COMMIT");
  } catch (error) {
    if (database.inTransaction) database.run("ROLLBACK");
    const full = (error as { code?: string }).code === "SQLITE_FULL";
    replies = work.map(({ id }) => ({ id, error: (error as Error).message, full }));
  }
  if (work.some((request) => "close" in request)) database.close();
  for (const reply of replies) self.postMessage(reply);
}

function perform(request: Work, { has, below, put, remove, removeValue }: Writer): RecordsReply {
  const { id } = request;
  if ("close" in request) return { id };
  if ("remove" in request) {
    if (below.get(request.unless, `${request.unless}\u007f`) !== null) return { id, removed: false };
    remove.run(request.remove);
    return { id, removed: true };
  }
  const { claims = [], require = [], steps = [] } = request.change;
  const missing = require.filter((key) => has.get(key) === null);
  if (missing.length > 0) return { id, missing };
  for (const { put: key, value } of claims) put.run(key, value);
  for (const change of steps.flat()) {
    if ("put" in change) put.run(change.put, change.value);
    else if (change.ifValue === undefined) remove.run(change.remove);
    else removeValue.run(change.remove, change.ifValue);
  }
  return { id };
}
