import { type Bucket, forEachOf } from "./bucket.ts";
import { type Change, LIST_LIMIT, type ListOptions, type Put, type RecordStore, type Removal } from "./records.ts";

const ROOT = "records/";
const INTENTS = "intents/";
/** What a process does with one intent takes less: an older one belongs to a process that died. */
const INTENT_PATIENCE_MS = 60_000;

/** Records as objects of a bucket: any number of processes, no transactions. The order of the writes keeps them safe. */
export class S3Records implements RecordStore {
  readonly #bucket: Bucket;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return await this.#bucket.read(ROOT + key);
  }

  async list(prefix: string, options: ListOptions = {}): Promise<readonly string[]> {
    const after = options.after === undefined ? undefined : ROOT + options.after;
    const limit = Math.min(options.limit ?? LIST_LIMIT, LIST_LIMIT);
    const found = await this.#bucket.list(ROOT + prefix, after, limit);
    return found.map(({ key }) => key.slice(ROOT.length));
  }

  async commit({ claims = [], require = [], steps = [] }: Change): Promise<readonly string[]> {
    await forEachOf(claims, (claim) => this.#bucket.write(ROOT + claim.put, claim.value));
    const missing: string[] = [];
    await forEachOf(require, async (key) => {
      if (!(await this.#bucket.has(ROOT + key))) missing.push(key);
    });
    if (missing.length > 0) {
      await forEachOf(claims, (claim) => this.#bucket.remove(ROOT + claim.put));
      return missing;
    }
    for (const step of steps) await forEachOf(step, (change) => this.#apply(change));
    return [];
  }

  async #apply(change: Put | Removal): Promise<void> {
    if ("put" in change) return await this.#bucket.write(ROOT + change.put, change.value);
    const { remove, ifValue } = change;
    const value = ifValue === undefined ? undefined : await this.#bucket.read(ROOT + remove);
    if (ifValue !== undefined && (value === undefined || Buffer.compare(value, ifValue) !== 0)) return;
    await this.#bucket.remove(ROOT + remove);
  }

  /** The intent makes sure that a record which is claimed comes back also when this process is killed in between. */
  async removeUnless(key: string, prefix: string): Promise<boolean> {
    const value = await this.#bucket.read(ROOT + key);
    if (value === undefined) return true;
    const intent = `${INTENTS}${Date.now().toString(36)}-${crypto.randomUUID()}`;
    const content: Intent = { key, prefix, value: Buffer.from(value).toString("base64") };
    await this.#bucket.write(intent, Buffer.from(JSON.stringify(content)));
    await this.#bucket.remove(ROOT + key);
    const isClaimed = await this.#restoreIfClaimed(content);
    await this.#bucket.remove(intent);
    return !isClaimed;
  }

  async settle(): Promise<void> {
    for await (const { key } of this.#bucket.every(INTENTS)) {
      if (Number.parseInt(key.slice(INTENTS.length), 36) > Date.now() - INTENT_PATIENCE_MS) continue;
      const text = await this.#bucket.read(key);
      if (text !== undefined) await this.#restoreIfClaimed(JSON.parse(Buffer.from(text).toString()) as Intent);
      await this.#bucket.remove(key);
    }
  }

  async #restoreIfClaimed({ key, prefix, value }: Intent): Promise<boolean> {
    const claims = await this.#bucket.list(ROOT + prefix, undefined, 1);
    if (claims.length === 0) return false;
    // Somebody may have written it anew meanwhile, with other bytes behind it: both are right.
    if (!(await this.#bucket.has(ROOT + key))) await this.#bucket.write(ROOT + key, Buffer.from(value, "base64"));
    return true;
  }

  async ping(): Promise<void> {
    await this.#bucket.list(ROOT, undefined, 1);
  }

  async close(): Promise<void> {}
}

interface Intent {
  readonly key: string;
  readonly prefix: string;
  readonly value: string;
}
