import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@slipway/base";
import type { DigestAlgorithm } from "@slipway/oci";
import type { AppendOptions, ContentStore, Measured, Place, UploadStatus } from "./contents.ts";
import { hashFile, RunningHashes } from "./running-hash.ts";
import { outOfOrder, tooLarge, unknownUpload, wrongLength } from "./upload-errors.ts";

/** Bytes that are gathered before they are written: one system call for many small chunks. */
const WRITE_SIZE = 1 << 20;
/** Bytes after which the disk is asked to take them. */
const SYNC_SIZE = 8 << 20;

/**
 * Blobs as files: `uploads/<id>` while they arrive, `blobs/<two digits>/<name>` afterwards. A file gets its place by rename
 * after its bytes are on the disk; what a crash leaves in `uploads` expires, what it leaves in `blobs` no record names.
 */
export class FileContents implements ContentStore {
  readonly #uploads: string;
  readonly #blobs: string;
  readonly #hashes = new RunningHashes();

  static async open(root: string): Promise<FileContents> {
    const contents = new FileContents(root);
    await mkdir(contents.#uploads, { recursive: true });
    // All folders at once, so that no push has to make one and wait until its name is on the disk.
    const folders = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
    if ((await sizeOf(join(contents.#blobs, "ff"))) !== undefined) return contents;
    for (const folder of folders) await mkdir(join(contents.#blobs, folder), { recursive: true });
    await syncDirectory(contents.#blobs);
    await syncDirectory(root);
    return contents;
  }

  private constructor(root: string) {
    this.#uploads = join(root, "uploads");
    this.#blobs = join(root, "blobs");
  }

  async begin(id: string): Promise<void> {
    const handle = await open(join(this.#uploads, id), "wx", 0o600);
    await handle.close();
  }

  async status(id: string): Promise<UploadStatus | undefined> {
    const offset = await sizeOf(join(this.#uploads, id));
    return offset === undefined ? undefined : { id, offset };
  }

  async append(id: string, body: ReadableStream<Uint8Array> | null, options: AppendOptions): Promise<UploadStatus> {
    const handle = await openUpload(join(this.#uploads, id));
    try {
      const { size: start } = await handle.stat();
      if (options.offset !== undefined && options.offset !== start) throw outOfOrder(options.offset, start);
      const hasher = this.#hashes.take(id, options.algorithm, String(start), start === 0);
      const end = await writeBody(handle, body, { ...options, start, hasher });
      if (hasher !== undefined) this.#hashes.put(id, options.algorithm, String(end), hasher);
      return { id, offset: end };
    } finally {
      await handle.close();
    }
  }

  async measure(id: string, algorithm: DigestAlgorithm): Promise<Measured> {
    const path = join(this.#uploads, id);
    const size = await sizeOf(path);
    if (size === undefined) throw unknownUpload();
    const hasher = this.#hashes.take(id, algorithm, String(size), size === 0);
    return { id, size, hash: hasher === undefined ? await hashFile(path, algorithm) : hasher.digest("hex") };
  }

  async finish({ id, size }: Measured, name: string): Promise<Place> {
    const handle = await openUpload(join(this.#uploads, id));
    try {
      // Of now: an upload that was idle for long is no stray the moment before its record is written.
      const now = new Date();
      await handle.utimes(now, now);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    const at = `${name}.${id.slice(0, 8)}`;
    const path = this.#path(at);
    await rename(join(this.#uploads, id), path);
    await syncDirectory(join(path, ".."));
    return { size, at };
  }

  async cancel(id: string): Promise<void> {
    this.#hashes.forget(id);
    await rm(join(this.#uploads, id), { force: true });
  }

  async *idleUploads(before: number): AsyncGenerator<string> {
    yield* filesBefore(this.#uploads, before);
  }

  async has(place: Place): Promise<boolean> {
    return (await sizeOf(this.#path(place.at))) === place.size;
  }

  read(place: Place, start: number, end: number): Blob {
    const file = Bun.file(this.#path(place.at));
    return start === 0 && end === place.size ? file : file.slice(start, end);
  }

  async remove(place: Pick<Place, "at">): Promise<void> {
    await rm(this.#path(place.at), { force: true });
  }

  async *strays(named: ReadonlySet<string>, before: number): AsyncGenerator<string> {
    for (const folder of await readdir(this.#blobs)) yield* filesBefore(join(this.#blobs, folder), before, named);
  }

  /** Spread by the first digits of the digest, which `name` holds after its algorithm. */
  #path(name: string): string {
    const at = name.indexOf("-") + 1;
    return join(this.#blobs, name.slice(at, at + 2), name);
  }
}

interface Writing extends AppendOptions {
  readonly start: number;
  readonly hasher: Bun.CryptoHasher | undefined;
}

/** Writes a body behind `start` and returns the new size. One write is under way while the next bytes arrive. */
async function writeBody(
  handle: FileHandle,
  body: ReadableStream<Uint8Array> | null,
  { start, hasher, limit, length }: Writing,
): Promise<number> {
  let position = start;
  let end = start;
  let chunks: Uint8Array[] = [];
  let writing: Promise<unknown> = Promise.resolve();
  const disk = new EarlySync(handle);
  const flush = async () => {
    await writing;
    disk.begin(position);
    const batch = chunks;
    const at = position;
    chunks = [];
    position = end;
    if (batch.length > 0) writing = writeAll(handle, batch, at);
    // A failure is seen at the next flush; it must not count as unhandled until then.
    writing.catch(() => {});
  };
  let tooMuch = false;
  try {
    for await (const chunk of body ?? []) {
      tooMuch = end + chunk.length > Math.min(limit ?? Infinity, start + (length ?? Infinity));
      if (tooMuch)
        throw limit !== undefined && end + chunk.length > limit ? tooLarge(limit) : wrongLength(length, "more");
      hasher?.update(chunk);
      chunks.push(chunk);
      end += chunk.length;
      if (end - position >= WRITE_SIZE) await flush();
    }
    if (length !== undefined && end !== start + length) throw wrongLength(length, "fewer");
    await flush();
    await writing;
  } catch (error) {
    await writing.catch(() => {});
    // What has arrived of an interrupted request is kept: the client asks how far it came and goes on from there.
    if (tooMuch) await handle.truncate(start);
    else await flush().then(() => writing);
    throw error;
  } finally {
    await disk.end();
  }
  return end;
}

/** Brings bytes to the disk while others arrive, so that little is left to wait for at the end of a large upload. */
class EarlySync {
  readonly #handle: FileHandle;
  #synced: number | undefined;
  #running: Promise<void> | undefined;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Everything up to `written` has been written. */
  begin(written: number): void {
    this.#synced ??= written;
    if (this.#running !== undefined || written - this.#synced < SYNC_SIZE) return;
    this.#synced = written;
    // Only the last sync, before the upload gets its place, must succeed.
    const over = () => {
      this.#running = undefined;
    };
    this.#running = this.#handle.datasync().then(over, over);
  }

  async end(): Promise<void> {
    await this.#running;
  }
}

async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

async function openUpload(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw unknownUpload();
    throw error;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function* filesBefore(folder: string, before: number, except?: ReadonlySet<string>): AsyncGenerator<string> {
  for (const name of await readdir(folder)) {
    if (except?.has(name)) continue;
    const facts = await stat(join(folder, name)).catch(() => undefined);
    if (facts !== undefined && facts.mtimeMs < before) yield name;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
