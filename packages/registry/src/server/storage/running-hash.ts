import { createReadStream } from "node:fs";
import type { DigestAlgorithm } from "@slipway/oci";

interface Running {
  readonly algorithm: DigestAlgorithm;
  readonly hasher: Bun.CryptoHasher;
  /** What the hash stands for: the bytes that it has seen, and which ones where that can differ. */
  mark: string;
}

/** The most uploads whose hash is remembered; the others are read again at their end. */
const CAPACITY = 4096;

/**
 * Hashes of uploads that go on, so that the usual upload is read once. It is a memory, not the truth: an upload that
 * went on in another process, or was interrupted, is hashed anew from what the store has.
 */
export class RunningHashes {
  readonly #running = new Map<string, Running>();

  /** The hash that stands at `mark`, or a new one when nothing has been stored yet; undefined when it is not known. */
  take(id: string, algorithm: DigestAlgorithm, mark: string, isEmpty: boolean): Bun.CryptoHasher | undefined {
    const known = this.#running.get(id);
    this.#running.delete(id);
    if (known !== undefined && known.mark === mark && known.algorithm === algorithm) return known.hasher;
    return isEmpty ? new Bun.CryptoHasher(algorithm) : undefined;
  }

  put(id: string, algorithm: DigestAlgorithm, mark: string, hasher: Bun.CryptoHasher): void {
    this.#running.set(id, { algorithm, hasher, mark });
    const oldest = this.#running.size > CAPACITY ? this.#running.keys().next().value : undefined;
    if (oldest !== undefined) this.#running.delete(oldest);
  }

  forget(id: string): void {
    this.#running.delete(id);
  }
}

/** The hash of a file's bytes, read in pieces so that others get their turn. */
export async function hashFile(path: string, algorithm: DigestAlgorithm): Promise<string> {
  const hasher = new Bun.CryptoHasher(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hasher.update(chunk as Uint8Array);
  return hasher.digest("hex");
}
