/**
 * Small values under ordered keys: all that a registry knows beside the bytes of its blobs.
 *
 * Two implementations: SQLite beside the blobs (`file-records.ts`) and objects in a bucket (`s3-records.ts`). Several
 * processes may use one bucket at once and there are no transactions across objects, so the operations are those that
 * stay safe without them. What must hold together is written so that each reader sees one side or the other:
 *
 * - Whoever needs a record *claims* it (writes a record that names the need) and only then looks whether it is there.
 * - Whoever removes an unneeded record removes it and only then looks for claims; if there is one, the record comes back.
 *
 * Both may give way, never both go on.
 */
export interface RecordStore {
  get(key: string): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  /** Keys below `prefix` in the order of their bytes, those after `after` (a whole key), at most `limit` (1000). */
  list(prefix: string, options?: ListOptions): Promise<readonly string[]> | readonly string[];
  /**
   * Applies a change; it is durable when the promise resolves. Returns the required keys that are missing: then nothing
   * was changed. In SQLite all of it is one transaction.
   */
  commit(change: Change): Promise<readonly string[]>;
  /** Removes the record `key` unless a record stands below `prefix`. Tells whether it was removed. */
  removeUnless(key: string, prefix: string): Promise<boolean>;
  /** Ends what a process that was killed has left half done. */
  settle(): Promise<void>;
  /** Throws `unavailable` when the store does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface ListOptions {
  readonly after?: string;
  readonly limit?: number;
}

export interface Change {
  /** Written before the requirement is looked at, taken back if it fails. */
  readonly claims?: readonly Put[];
  /** Keys that must be there. */
  readonly require?: readonly string[];
  /** Carried out one after the other where there is no transaction: what a reader follows comes before what leads there. */
  readonly steps?: readonly (readonly (Put | Removal)[])[];
}

export interface Put {
  readonly put: string;
  readonly value: Uint8Array;
}

export interface Removal {
  readonly remove: string;
  /** The record is removed only while it has this value. */
  readonly ifValue?: Uint8Array;
}

/** The most keys that one `list` returns. */
export const LIST_LIMIT = 1000;
/** Keys that are read at once on a walk over all: for a bucket one request, for SQLite half a millisecond. */
const WALK = 1000;

/** All keys below a prefix, a page at a time, leaving the event loop free between pages. */
export async function* everyKey(records: RecordStore, prefix: string): AsyncGenerator<string> {
  for (let after: string | undefined; ; ) {
    const page = await records.list(prefix, { limit: WALK, ...(after !== undefined && { after }) });
    yield* page;
    after = page.at(-1);
    if (page.length < WALK || after === undefined) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
