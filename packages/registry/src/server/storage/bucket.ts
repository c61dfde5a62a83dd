import { SlipwayError } from "@slipway/base";

export interface BucketOptions {
  readonly bucket: string;
  /** Before each key; empty or ending in `/`. */
  readonly prefix: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly virtualHostedStyle?: boolean;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface ListedObject {
  readonly key: string;
  /** When it was written, in milliseconds since 1970. */
  readonly modified: number;
}

/** Objects that are asked for at once on behalf of one request. */
export const FAN_OUT = 16;

/** A prefix of a bucket of any S3-compatible store, with keys that do not show the prefix. */
export class Bucket {
  readonly #client: Bun.S3Client;
  readonly #prefix: string;

  constructor({ prefix, ...options }: BucketOptions) {
    this.#client = new Bun.S3Client(options);
    this.#prefix = prefix;
  }

  /** The bytes of an object, or of a part of it; undefined when there is none. */
  async read(key: string, start?: number, end?: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const file = this.#client.file(this.#prefix + key);
    try {
      return new Uint8Array(await (start === undefined ? file : file.slice(start, end)).arrayBuffer());
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw unavailable("read", key, error);
    }
  }

  async has(key: string): Promise<boolean> {
    return await this.#client.exists(this.#prefix + key).catch((error) => {
      throw unavailable("look for", key, error);
    });
  }

  /** The object is durable when the promise resolves. */
  async write(key: string, value: Uint8Array): Promise<void> {
    await this.#client.write(this.#prefix + key, value as Uint8Array<ArrayBuffer>).catch((error) => {
      throw unavailable("write", key, error);
    });
  }

  /** Removing what is not there is no failure. */
  async remove(key: string): Promise<void> {
    await this.#client.delete(this.#prefix + key).catch((error) => {
      if (!isMissing(error)) throw unavailable("remove", key, error);
    });
  }

  /** At most 1000 objects below `prefix`, in the order of their keys' bytes, after the key `after`. */
  async list(prefix: string, after: string | undefined, limit: number): Promise<ListedObject[]> {
    const answer = await this.#client
      .list({
        prefix: this.#prefix + prefix,
        maxKeys: limit,
        ...(after !== undefined && { startAfter: this.#prefix + after }),
      })
      .catch((error) => {
        throw unavailable("list", prefix, error);
      });
    return (answer.contents ?? []).map(({ key, lastModified }) => ({
      key: key.slice(this.#prefix.length),
      modified: lastModified === undefined ? 0 : Date.parse(lastModified),
    }));
  }

  async *every(prefix: string): AsyncGenerator<ListedObject> {
    for (let after: string | undefined; ; ) {
      const page = await this.list(prefix, after, 1000);
      yield* page;
      after = page.at(-1)?.key;
      if (page.length < 1000) return;
    }
  }
}

/** Does `work` for all items, a few at a time. */
export async function forEachOf<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length) await work(items[next++] as T);
  };
  await Promise.all(Array.from({ length: Math.min(FAN_OUT, items.length) }, lane));
}

function isMissing(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === "NoSuchKey" || code === "NotFound";
}

function unavailable(verb: string, key: string, error: unknown): SlipwayError {
  const code = (error as { code?: string }).code ?? "unknown";
  return new SlipwayError("unavailable", `the object store cannot ${verb} ${key}: ${code}`, { cause: error });
}
