import type { Database } from "bun:sqlite";
import { createHash, type Hash, randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, renameSync, statSync, unlinkSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { errnoOf, SlipwayError } from "@slipway/base";
import { type Digest, digestAlgorithm, digestHex } from "@slipway/oci";
import type { DiskSync } from "./disk-sync.ts";
import type { BlobInfo, BlobStore, BlobWriter, IngestOptions, Lease, StorePaths } from "./faces.ts";
import { heldLease } from "./leases.ts";
import { blobPath, RESUMABLE_SUFFIX, resumablePath } from "./paths.ts";

const READ_CHUNK = 256 * 1024;
const DOCUMENT_LIMIT = 8 * 1024 * 1024;

/** Blobs in `content/blobs`: a file and, after it, a row. */
export class Blobs implements BlobStore {
  readonly #database: Database;
  readonly #paths: StorePaths;
  readonly #sync: DiskSync;
  /** Keys with a writer. */
  readonly #writing = new Set<string>();

  constructor(database: Database, paths: StorePaths, sync: DiskSync) {
    this.#database = database;
    this.#paths = paths;
    this.#sync = sync;
  }

  stat(digest: Digest): BlobInfo | undefined {
    const row = this.#database.query<{ size: number }, [string]>("SELECT size FROM blobs WHERE digest = ?").get(digest);
    return row === null ? undefined : { digest, size: row.size };
  }

  path(digest: Digest): string {
    this.#known(digest);
    return blobPath(this.#paths, digest);
  }

  read(digest: Digest): ReadableStream<Uint8Array> {
    return verifiedStream(blobPath(this.#paths, digest), this.#known(digest));
  }

  async readAll(digest: Digest, limit = DOCUMENT_LIMIT): Promise<Uint8Array> {
    const { size } = this.#known(digest);
    if (size > limit)
      throw new SlipwayError("exhausted", `blob ${digest} has ${size} bytes, over the limit of ${limit}`);
    const bytes = await Bun.file(blobPath(this.#paths, digest)).bytes();
    const actual = createHash(digestAlgorithm(digest)).update(bytes).digest("hex");
    if (actual !== digestHex(digest)) throw corrupt(digest, `its content has the digest ${actual}`);
    return bytes;
  }

  async put(bytes: Uint8Array, lease: Lease): Promise<BlobInfo> {
    return this.putSync(bytes, lease);
  }

  /** As `put`; for documents, which are small. */
  putSync(bytes: Uint8Array, lease: Lease): BlobInfo {
    const held = heldLease(lease);
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
    held.blobs.add(digest);
    const known = this.stat(digest);
    if (known !== undefined) return known;
    const temporary = this.temporaryPath();
    writeWhole(temporary, bytes);
    return this.adopt(temporary, { digest, size: bytes.length });
  }

  async ingest(options: IngestOptions): Promise<BlobWriter> {
    const held = heldLease(options.lease);
    if (this.#writing.has(options.key)) {
      throw new SlipwayError("conflict", `${options.key} is being written already`);
    }
    this.#writing.add(options.key);
    if (options.expectedDigest !== undefined) held.blobs.add(options.expectedDigest);
    try {
      const path = resumablePath(this.#paths, options.key);
      return await IngestWriter.open(path, options, {
        commit: (info) => {
          held.blobs.add(info.digest);
          return this.adopt(path, info);
        },
        end: () => this.#writing.delete(options.key),
      });
    } catch (error) {
      this.#writing.delete(options.key);
      throw error;
    }
  }

  /**
   * The unfinished file of a key, held against other writers until the answer is called. Throws `conflict`. A digest that
   * is given is held by the lease from now on.
   */
  claim(key: string, lease: Lease, digest: Digest): { readonly path: string; readonly release: () => void } {
    if (this.#writing.has(key)) throw new SlipwayError("conflict", `${key} is being written already`);
    heldLease(lease).blobs.add(digest);
    this.#writing.add(key);
    return { path: resumablePath(this.#paths, key), release: () => void this.#writing.delete(key) };
  }

  /** Files of keys that nobody writes now: what was broken off. Bytes. */
  unfinished(): { readonly path: string; readonly size: number }[] {
    const written = new Set([...this.#writing].map((key) => resumablePath(this.#paths, key)));
    return readdirSync(this.#paths.ingest)
      .filter((name) => name.endsWith(RESUMABLE_SUFFIX))
      .map((name) => `${this.#paths.ingest}/${name}`)
      .filter((path) => !written.has(path))
      .map((path) => ({ path, size: fileSize(path) ?? 0 }));
  }

  /** A name for a file that does not outlive this process. */
  temporaryPath(): string {
    return `${this.#paths.ingest}/${randomBytes(8).toString("hex")}`;
  }

  /**
   * A complete file, whose digest the caller has computed, becomes a blob: rename, then the row. Whoever dies between the
   * two leaves a file without a row, which the next start removes.
   */
  adopt(path: string, info: BlobInfo): BlobInfo {
    if (this.stat(info.digest) !== undefined) {
      unlinkSync(path);
      return info;
    }
    renameSync(path, blobPath(this.#paths, info.digest));
    this.#database
      .query("INSERT OR IGNORE INTO blobs (digest, size, unsynced) VALUES (?, ?, ?)")
      .run(info.digest, info.size, this.#sync.mark());
    return info;
  }

  #known(digest: Digest): BlobInfo {
    const info = this.stat(digest);
    if (info === undefined) throw new SlipwayError("not-found", `no blob ${digest}`);
    return info;
  }
}

function corrupt(digest: Digest, why: string): SlipwayError {
  return new SlipwayError("corrupt", `blob ${digest} is damaged: ${why}`, {
    hint: "Pull or load the image again; if it happens again, check the disk.",
    details: { digest },
  });
}

function writeWhole(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, "wx", 0o644);
  try {
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
  } finally {
    closeSync(fd);
  }
}

/** A file's bytes; at its end the stream fails if they are not those that the digest names. */
function verifiedStream(path: string, { digest, size }: BlobInfo): ReadableStream<Uint8Array> {
  const hash = createHash(digestAlgorithm(digest));
  let file: FileHandle | undefined;
  let offset = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        file ??= await open(path, "r");
        const buffer = new Uint8Array(READ_CHUNK);
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        if (bytesRead > 0) {
          const chunk = buffer.subarray(0, bytesRead);
          hash.update(chunk);
          offset += bytesRead;
          controller.enqueue(chunk);
          return;
        }
        await file.close();
        if (offset !== size) controller.error(corrupt(digest, `it has ${offset} bytes instead of ${size}`));
        else if (hash.digest("hex") !== digestHex(digest)) controller.error(corrupt(digest, "its content differs"));
        else controller.close();
      },
      async cancel() {
        await file?.close();
      },
    },
    { highWaterMark: 0 },
  );
}

interface IngestHooks {
  commit(info: BlobInfo): BlobInfo;
  end(): void;
}

class IngestWriter implements BlobWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #hash: Hash;
  readonly #options: IngestOptions;
  readonly #hooks: IngestHooks;
  #offset: number;
  #ended = false;

  static async open(path: string, options: IngestOptions, hooks: IngestHooks): Promise<IngestWriter> {
    const hash = createHash(options.expectedDigest ? digestAlgorithm(options.expectedDigest) : "sha256");
    const file = await open(path, "a+", 0o644);
    // What is there may be damaged (a power cut); the digest of the whole tells at the end.
    let offset = 0;
    const buffer = new Uint8Array(READ_CHUNK);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      offset += bytesRead;
    }
    return new IngestWriter(file, path, hash, { ...options, offset }, hooks);
  }

  private constructor(
    file: FileHandle,
    path: string,
    hash: Hash,
    options: IngestOptions & { offset: number },
    hooks: IngestHooks,
  ) {
    this.#file = file;
    this.#path = path;
    this.#hash = hash;
    this.#options = options;
    this.#hooks = hooks;
    this.#offset = options.offset;
  }

  get offset(): number {
    return this.#offset;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#ended) throw new SlipwayError("conflict", `the ingest of ${this.#options.key} has ended`);
    const { expectedSize } = this.#options;
    if (expectedSize !== undefined && this.#offset + chunk.length > expectedSize) {
      const received = this.#offset + chunk.length;
      await this.abort();
      throw new SlipwayError(
        "corrupt",
        `${this.#options.key}: ${received} bytes arrived, ${expectedSize} were announced`,
      );
    }
    for (let written = 0; written < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, written);
      written += bytesWritten;
    }
    this.#hash.update(chunk);
    this.#offset += chunk.length;
  }

  async commit(): Promise<BlobInfo> {
    const { key, expectedDigest, expectedSize } = this.#options;
    if (expectedSize !== undefined && this.#offset !== expectedSize) {
      const size = this.#offset;
      await this.abort();
      throw new SlipwayError("corrupt", `${key}: ${size} bytes arrived, ${expectedSize} were announced`);
    }
    const algorithm = expectedDigest ? digestAlgorithm(expectedDigest) : "sha256";
    const digest = `${algorithm}:${this.#hash.digest("hex")}` as Digest;
    if (expectedDigest !== undefined && digest !== expectedDigest) {
      await this.abort();
      throw new SlipwayError("corrupt", `${key}: the content has the digest ${digest}, expected ${expectedDigest}`);
    }
    this.#ended = true;
    try {
      await this.#file.close();
      return this.#hooks.commit({ digest, size: this.#offset });
    } finally {
      // Only now: until the rename, another writer of this key would have gone on in the same file.
      this.#hooks.end();
    }
  }

  async suspend(): Promise<void> {
    await this.#close();
  }

  async abort(): Promise<void> {
    if (this.#ended) return;
    await this.#close();
    try {
      unlinkSync(this.#path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#file.close();
    this.#hooks.end();
  }
}

/** The size of a file, or undefined when there is none. */
export function fileSize(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
