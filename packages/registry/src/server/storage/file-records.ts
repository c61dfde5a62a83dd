import { Database, type Statement } from "bun:sqlite";
import { SlipwayError } from "@slipway/base";
import type { Change, ListOptions, RecordStore } from "./records.ts";
import { LIST_LIMIT } from "./records.ts";
import type { RecordsReply, RecordsRequest } from "./registry-records-worker.ts";

const PAGE_CACHE_KIB = 8192;

/**
 * Records in SQLite. Reading is done here, in microseconds; writing waits for the disk and is done by a worker, which
 * puts the changes that arrive meanwhile into one transaction.
 */
export class FileRecords implements RecordStore {
  readonly #worker: Worker;
  readonly #database: Database;
  readonly #get: Statement<{ value: Uint8Array }, [string]>;
  readonly #list: Statement<{ key: string }, [string, string, number]>;
  readonly #waiting = new Map<number, PromiseWithResolvers<RecordsReply>>();
  #next = 0;

  static async open(path: string): Promise<FileRecords> {
    const worker = new Worker(new URL("./registry-records-worker.ts", import.meta.url).href);
    const ready = Promise.withResolvers<void>();
    worker.onmessage = () => ready.resolve();
    worker.onerror = (event) => ready.reject(new SlipwayError("unavailable", `records: ${event.message}`));
    worker.postMessage({ open: path } satisfies RecordsRequest);
    await ready.promise;
    return new FileRecords(path, worker);
  }

  private constructor(path: string, worker: Worker) {
    this.#worker = worker;
    this.#database = new Database(path, { readonly: true });
    this.#database.run(`PRAGMA cache_size = -${PAGE_CACHE_KIB}`);
    this.#database.run("PRAGMA mmap_size = 268435456");
    this.#get = this.#database.query("SELECT value FROM record WHERE key = ?1");
    this.#list = this.#database.query("SELECT key FROM record WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3");
    worker.onmessage = (event: MessageEvent<RecordsReply>) => this.#answer(event.data);
    worker.onerror = (event) => this.#failAll(event.message);
  }

  get(key: string): Uint8Array | undefined {
    return this.#get.get(key)?.value;
  }

  list(prefix: string, options: ListOptions = {}): readonly string[] {
    const after = options.after !== undefined && options.after > prefix ? options.after : prefix;
    // No key has a character above this one, for all of them are ASCII.
    return this.#list.all(after, `${prefix}\u007f`, Math.min(options.limit ?? LIST_LIMIT, LIST_LIMIT)).map(keyOf);
  }

  async commit(change: Change): Promise<readonly string[]> {
    const reply = await this.#ask((id) => ({ id, change }));
    return reply.missing ?? [];
  }

  async removeUnless(key: string, prefix: string): Promise<boolean> {
    const reply = await this.#ask((id) => ({ id, remove: key, unless: prefix }));
    return reply.removed ?? false;
  }

  /** Transactions leave nothing half done. */
  async settle(): Promise<void> {}

  async ping(): Promise<void> {
    await this.#ask((id) => ({ id, change: {} }));
  }

  async close(): Promise<void> {
    await this.#ask((id) => ({ id, close: true }));
    this.#worker.terminate();
    this.#database.close();
  }

  async #ask(make: (id: number) => RecordsRequest): Promise<RecordsReply> {
    const id = this.#next++;
    const waiter = Promise.withResolvers<RecordsReply>();
    this.#waiting.set(id, waiter);
    this.#worker.postMessage(make(id));
    const reply = await waiter.promise;
    if (reply.error === undefined) return reply;
    throw new SlipwayError(reply.full === true ? "exhausted" : "internal", `cannot write records: ${reply.error}`);
  }

  #answer(reply: RecordsReply): void {
    this.#waiting.get(reply.id)?.resolve(reply);
    this.#waiting.delete(reply.id);
  }

  #failAll(message: string): void {
    for (const waiter of this.#waiting.values()) waiter.reject(new SlipwayError("internal", `records: ${message}`));
    this.#waiting.clear();
  }
}

function keyOf(row: { readonly key: string }): string {
  return row.key;
}
