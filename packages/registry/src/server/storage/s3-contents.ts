import type { DigestAlgorithm } from "@slipway/oci";
import { type Bucket, forEachOf } from "./bucket.ts";
import type { AppendOptions, ContentStore, Measured, Piece, Place, UploadStatus } from "./contents.ts";
import { RunningHashes } from "./running-hash.ts";
import { outOfOrder, tooLarge, unknownUpload, wrongLength } from "./upload-errors.ts";

const MIB = 1 << 20;
/** Pieces are this large unless very many uploads go on at once. */
const PIECE = 8 * MIB;
const SMALLEST_PIECE = 256 * 1024;
/** Bytes that all uploads of this process together may gather before they are sent to the store. */
const GATHERED = 192 * MIB;
/** Bytes of a blob that are read at once. */
const READ_SIZE = 2 * MIB;
/** A blob of more small pieces than this is put together anew when it is finished. */
const MANY_PIECES = 100;

const STATES = "uploads/";
const DATA = "data/";

interface State {
  readonly pieces: readonly Piece[];
}

/**
 * Blobs as objects of a bucket, in pieces: `data/<upload>/<piece>`. Bytes are stored once, while they arrive; an upload
 * becomes a blob by a record that names its pieces, so nothing is copied and nothing half can be seen. What an upload has
 * stored so far stands in `uploads/<upload>`: any replica can go on with it.
 */
export class S3Contents implements ContentStore {
  readonly #bucket: Bucket;
  readonly #hashes = new RunningHashes();
  #appending = 0;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async begin(id: string): Promise<void> {
    await this.#setState(id, { pieces: [] });
  }

  async status(id: string): Promise<UploadStatus | undefined> {
    const state = await this.#state(id);
    return state && { id, offset: sizeOf(state.pieces) };
  }

  async append(id: string, body: ReadableStream<Uint8Array> | null, options: AppendOptions): Promise<UploadStatus> {
    const state = await this.#state(id);
    if (state === undefined) throw unknownUpload();
    const { algorithm } = options;
    const start = sizeOf(state.pieces);
    if (options.offset !== undefined && options.offset !== start) throw outOfOrder(options.offset, start);
    const hasher = this.#hashes.take(id, algorithm, lastOf(state.pieces), start === 0);
    const pieces = [...state.pieces];
    this.#appending++;
    try {
      await this.#write(id, body, { ...options, start, hasher, pieces });
    } catch (error) {
      // What has been stored of an interrupted request is kept: the client asks how far it came and goes on from there.
      await this.#setState(id, { pieces });
      throw error;
    } finally {
      this.#appending--;
    }
    await this.#setState(id, { pieces });
    if (hasher !== undefined) this.#hashes.put(id, algorithm, lastOf(pieces), hasher);
    return { id, offset: sizeOf(pieces) };
  }

  /** Stores a body in pieces, adding each to `pieces` when it is stored. One is on its way while the next arrives. */
  async #write(id: string, body: AsyncIterable<Uint8Array> | null, writing: Writing): Promise<void> {
    const { start, limit, length, hasher, pieces } = writing;
    let end = start;
    let chunks: Uint8Array[] = [];
    let gathered = 0;
    let sending: Promise<void> = Promise.resolve();
    const flush = async () => {
      await sending;
      if (gathered === 0) return;
      const bytes = Buffer.concat(chunks);
      chunks = [];
      gathered = 0;
      sending = this.#writePiece(id, bytes).then((piece) => void pieces.push(piece));
      sending.catch(() => {});
    };
    try {
      for await (const chunk of body ?? []) {
        end += chunk.length;
        if (limit !== undefined && end > limit) throw tooLarge(limit);
        if (length !== undefined && end > start + length) throw wrongLength(length, "more");
        hasher?.update(chunk);
        chunks.push(chunk);
        gathered += chunk.length;
        if (gathered >= this.#pieceSize()) await flush();
      }
      await flush();
    } finally {
      await sending;
    }
    if (length !== undefined && end !== start + length) throw wrongLength(length, "fewer");
  }

  #pieceSize(): number {
    return Math.max(SMALLEST_PIECE, Math.min(PIECE, GATHERED / (2 * this.#appending)));
  }

  async #writePiece(id: string, bytes: Uint8Array): Promise<Piece> {
    // No two requests ever write the same piece, also not two that go on with the same upload at once.
    const piece = { name: crypto.randomUUID().slice(0, 13), size: bytes.length };
    await this.#bucket.write(pieceKey(id, piece), bytes);
    return piece;
  }

  async measure(id: string, algorithm: DigestAlgorithm): Promise<Measured> {
    const state = await this.#state(id);
    if (state === undefined) throw unknownUpload();
    const { pieces } = state;
    const size = sizeOf(pieces);
    const hasher = this.#hashes.take(id, algorithm, lastOf(pieces), size === 0);
    if (hasher !== undefined) return { id, size, pieces, hash: hasher.digest("hex") };
    const fresh = new Bun.CryptoHasher(algorithm);
    for await (const bytes of this.#bytes({ at: id, size, pieces }, 0, size)) fresh.update(bytes);
    return { id, size, pieces, hash: fresh.digest("hex") };
  }

  async finish({ id, size, pieces = [] }: Measured): Promise<Place> {
    this.#hashes.forget(id);
    const place = { at: id, size, pieces };
    const isScattered = pieces.length > MANY_PIECES && size / pieces.length < MIB;
    const result = isScattered ? await this.#gather(place) : place;
    await this.#bucket.remove(STATES + id);
    if (isScattered) await this.remove(place);
    return result;
  }

  /** The same bytes in pieces of full size. */
  async #gather(place: Place): Promise<Place> {
    const at = crypto.randomUUID();
    const pieces: Piece[] = [];
    const body = this.#bytes(place, 0, place.size);
    await this.#write(at, body, { algorithm: "sha256", start: 0, hasher: undefined, pieces });
    return { at, size: place.size, pieces };
  }

  async cancel(id: string): Promise<void> {
    this.#hashes.forget(id);
    const state = await this.#state(id);
    await this.#bucket.remove(STATES + id);
    if (state !== undefined) await this.remove({ at: id, pieces: state.pieces });
  }

  async *idleUploads(before: number): AsyncGenerator<string> {
    for await (const { key, modified } of this.#bucket.every(STATES)) {
      if (modified < before) yield key.slice(STATES.length);
    }
  }

  async has(place: Place): Promise<boolean> {
    const first = place.pieces?.[0];
    return first === undefined || (await this.#bucket.has(pieceKey(place.at, first)));
  }

  read(place: Place, start: number, end: number): ReadableStream<Uint8Array> {
    const bytes = this.#bytes(place, start, end);
    return new ReadableStream(
      {
        async pull(controller) {
          const { value, done } = await bytes.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        async cancel() {
          await bytes.return(undefined);
        },
      },
      { highWaterMark: 1 },
    );
  }

  /** Bytes in pieces of a bounded size, each asked for when the one before has been taken. */
  async *#bytes(place: Place, start: number, end: number): AsyncGenerator<Uint8Array> {
    let position = 0;
    for (const piece of place.pieces ?? []) {
      const from = Math.max(start - position, 0);
      const to = Math.min(end - position, piece.size);
      for (let at = from; at < to; at += READ_SIZE) {
        const bytes = await this.#bucket.read(pieceKey(place.at, piece), at, Math.min(at + READ_SIZE, to));
        if (bytes === undefined) throw unknownUpload();
        yield bytes;
      }
      position += piece.size;
      if (position >= end) return;
    }
  }

  async remove(place: Pick<Place, "at" | "pieces">): Promise<void> {
    const listed: string[] = place.pieces?.map((piece) => pieceKey(place.at, piece)) ?? [];
    if (place.pieces === undefined) {
      for await (const { key } of this.#bucket.every(`${DATA}${place.at}/`)) listed.push(key);
    }
    await forEachOf(listed, (key) => this.#bucket.remove(key));
  }

  async *strays(named: ReadonlySet<string>, before: number): AsyncGenerator<string> {
    let current: { at: string; newest: number } | undefined;
    const isOld = async () =>
      current !== undefined &&
      !named.has(current.at) &&
      current.newest < before &&
      !(await this.#bucket.has(STATES + current.at));
    for await (const { key, modified } of this.#bucket.every(DATA)) {
      const at = key.slice(DATA.length, key.lastIndexOf("/"));
      if (current?.at !== at) {
        if (await isOld()) yield current?.at ?? "";
        current = { at, newest: 0 };
      }
      current.newest = Math.max(current.newest, modified);
    }
    if (await isOld()) yield current?.at ?? "";
  }

  async #state(id: string): Promise<State | undefined> {
    const value = await this.#bucket.read(STATES + id);
    return value === undefined ? undefined : (JSON.parse(Buffer.from(value).toString()) as State);
  }

  async #setState(id: string, state: State): Promise<void> {
    await this.#bucket.write(STATES + id, Buffer.from(JSON.stringify(state)));
  }
}

interface Writing extends AppendOptions {
  readonly start: number;
  readonly hasher: Bun.CryptoHasher | undefined;
  readonly pieces: Piece[];
}

function pieceKey(at: string, piece: Piece): string {
  return `${DATA}${at}/${piece.name}`;
}

function sizeOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + piece.size, 0);
}

function lastOf(pieces: readonly Piece[]): string {
  return pieces.at(-1)?.name ?? "";
}
