import { binarySize, type JsonReader, parseSize } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import { fault } from "../api/fault.ts";
import { matches } from "../collect/retention.ts";
import type { Storage } from "../storage/contents.ts";
import { everyKey } from "../storage/records.ts";
import { decodeContent } from "./blobs.ts";
import { layout } from "./layout.ts";

export interface Quota {
  /** A pattern of repositories' names; each of them has the limit for itself. */
  readonly repositories: string;
  /** Bytes of all blobs that a repository holds. */
  readonly limit: number;
}

/** How long a sum counts, in milliseconds: other replicas push too. */
const COUNTED_FOR_MS = 30_000;

/** Keeps repositories below their quotas. Pushes at the same time may go over it by what they bring. */
export class Quotas {
  readonly #storage: Storage;
  readonly #quotas: readonly Quota[];
  readonly #used = new Map<string, { bytes: number; until: number }>();

  constructor(storage: Storage, quotas: readonly Quota[]) {
    this.#storage = storage;
    this.#quotas = quotas;
  }

  /** Throws QUOTA_EXCEEDED when `name` may not hold `size` bytes more; counts them otherwise. */
  async admit(name: string, _digest: Digest, size: number): Promise<void> {
    const quota = this.#quotas.find(({ repositories }) => matches(repositories, name));
    if (quota === undefined) return;
    const used = await this.#usage(name);
    if (used.bytes + size > quota.limit) {
      const message = `${name} holds ${binarySize(used.bytes)} of at most ${binarySize(quota.limit)}, ${binarySize(size)} more do not fit`;
      throw fault("QUOTA_EXCEEDED", message, { detail: { used: used.bytes, limit: quota.limit, size } });
    }
    used.bytes += size;
  }

  async #usage(name: string): Promise<{ bytes: number; until: number }> {
    const known = this.#used.get(name);
    if (known !== undefined && known.until > Date.now()) return known;
    let bytes = 0;
    for await (const key of everyKey(this.#storage.records, layout.blobs(name))) {
      const value = await this.#storage.records.get(key);
      if (value !== undefined) bytes += decodeContent(value).size;
    }
    const used = { bytes, until: Date.now() + COUNTED_FOR_MS };
    this.#used.set(name, used);
    return used;
  }
}

/** Reads a quota of the configuration file. Throws `invalid`. */
export function readQuota(reader: JsonReader): Quota {
  return { repositories: reader.field("repositories").string(), limit: parseSize(reader.field("limit").string()) };
}
