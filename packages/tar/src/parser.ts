import {
  applyPax,
  type DraftHeader,
  finishHeader,
  isZeroBlock,
  readHeader,
  readSize,
  verifyChecksum,
} from "./block-reader.ts";
import { BLOCK, corruptTar, FIELD, padding, readNumber } from "./format.ts";
import type { TarHeader } from "./header.ts";
import { DEFAULT_LIMITS, type TarLimits } from "./limits.ts";
import { decodeText, type PaxRecords, parseDecimal, parsePax } from "./pax.ts";
import { checkPieces, parseSparseBlocks, parseSparseList, readOldPieces, type SparsePiece } from "./sparse.ts";

/** Receives an archive in order: `entry`, its content in pieces, `entryEnd`, and the next. */
export interface TarHandler {
  entry(header: TarHeader): void;
  /** A view of the pushed chunk, valid as long as that is. */
  data(chunk: Uint8Array): void;
  /** Zeros of a sparse file; without this method they come through `data`. */
  hole?(length: number): void;
  entryEnd(): void;
}

/** What the bytes at hand are. */
type State =
  | { readonly kind: "header" }
  /** The body of a PAX header or a GNU long name. */
  | {
      readonly kind: "metadata";
      readonly flag: string;
      readonly size: number;
      readonly body: Uint8Array;
      filled: number;
    }
  /** More of an old GNU sparse map. */
  | { readonly kind: "old-sparse"; readonly header: DraftHeader; readonly pieces: SparsePiece[] }
  /** The map in front of a sparse file of version 1.0. */
  | { readonly kind: "new-sparse"; readonly header: DraftHeader; readonly stored: number; map: Uint8Array }
  | { readonly kind: "content" }
  | { readonly kind: "end" };

const HEADER: State = { kind: "header" };
const CONTENT: State = { kind: "content" };
const ZEROS = new Uint8Array(64 * 1024);

/**
 * Reads an archive that is pushed in chunks of any size: ustar, PAX, GNU (long names, base-256 numbers, sparse files of
 * all versions, expanded) and the headers of Unix V7. Nothing is copied but metadata. It throws `corrupt`, with the byte
 * and the reason, and is of no use after that.
 */
export class TarParser {
  readonly #limits: TarLimits;
  readonly #handler: TarHandler;
  readonly #block = new Uint8Array(BLOCK);
  #blockFilled = 0;
  #state: State = HEADER;
  /** Bytes of the archive that have been consumed. */
  #offset = 0;
  /** Bytes of content, and of padding behind it, that are still to come. */
  #left = 0;
  #skip = 0;
  #skipAfter = 0;
  #entries = 0;
  #zeroBlocks = 0;
  #current = "";
  readonly #global: PaxRecords = new Map();
  readonly #local: PaxRecords = new Map();
  #longName: string | undefined;
  #longLink: string | undefined;
  /** Of a sparse entry: pieces to come, the position in the file, the size with holes. */
  #pieces: SparsePiece[] = [];
  #position = 0;
  #realSize = 0;

  constructor(handler: TarHandler, limits: Partial<TarLimits> = {}) {
    this.#handler = handler;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  /** The archive's end has been seen; whatever follows is ignored. */
  get finished(): boolean {
    return this.#state.kind === "end";
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += this.#advance(step);
        continue;
      }
      const state = this.#state;
      if (state.kind === "end") return;
      if (state.kind === "content") at += this.#advance(this.#content(chunk, at));
      else if (state.kind === "metadata") at += this.#advance(this.#metadata(state, chunk, at));
      else at += this.#takeBlock(chunk, at);
    }
  }

  /** Says that nothing more comes. Throws if the archive is cut off in the middle of something. */
  end(): void {
    const state = this.#state;
    // The end mark and the last padding are often missing; nothing of value is.
    if (state.kind === "end" || (state.kind === "header" && this.#blockFilled === 0)) return;
    const inside =
      state.kind === "content" ? `, ${this.#left} bytes before the end of ${JSON.stringify(this.#current)}` : "";
    throw corruptTar(this.#offset + this.#blockFilled, `unexpected end of the archive${inside}`);
  }

  #advance(count: number): number {
    this.#offset += count;
    return count;
  }

  /** One block, in place if the chunk holds it whole. */
  #takeBlock(chunk: Uint8Array, at: number): number {
    const whole = this.#blockFilled === 0 && chunk.length - at >= BLOCK;
    const step = whole ? BLOCK : Math.min(BLOCK - this.#blockFilled, chunk.length - at);
    if (!whole) {
      this.#block.set(chunk.subarray(at, at + step), this.#blockFilled);
      this.#blockFilled += step;
      if (this.#blockFilled < BLOCK) return step;
      this.#blockFilled = 0;
    }
    const block = whole ? chunk.subarray(at, at + BLOCK) : this.#block;
    const start = this.#offset;
    this.#offset += BLOCK;
    if (this.#state.kind === "old-sparse") this.#oldSparse(this.#state, block, start);
    else if (this.#state.kind === "new-sparse") this.#newSparse(this.#state, block, start);
    else this.#header(block, start);
    return step;
  }

  #header(block: Uint8Array, start: number): void {
    if (block[0] === 0 && isZeroBlock(block)) {
      if (++this.#zeroBlocks === 2) this.#state = { kind: "end" };
      return;
    }
    if (this.#zeroBlocks > 0) throw corruptTar(start, "an entry after the end mark");
    verifyChecksum(block, start);
    const flag = String.fromCharCode(block[FIELD.type] ?? 0);
    if (flag === "x" || flag === "X" || flag === "g" || flag === "L" || flag === "K")
      this.#startMetadata(flag, block, start);
    else if (flag === "V") this.#skipContent(readSize(block, start));
    else if (flag === "M")
      throw corruptTar(start, "a continued entry of a multi-volume archive, which is not supported");
    else this.#startEntry(flag, block, start);
  }

  #skipContent(size: number): void {
    this.#skip = size + padding(size);
  }

  #startMetadata(flag: string, block: Uint8Array, start: number): void {
    const size = readSize(block, start);
    if (size > this.#limits.maxMetadata)
      throw corruptTar(start, `a header of ${size} bytes is too large (limit ${this.#limits.maxMetadata})`);
    if (size === 0) return;
    this.#state = { kind: "metadata", flag, size, body: new Uint8Array(size), filled: 0 };
  }

  #metadata(state: State & { kind: "metadata" }, chunk: Uint8Array, at: number): number {
    const step = Math.min(state.size - state.filled, chunk.length - at);
    state.body.set(chunk.subarray(at, at + step), state.filled);
    state.filled += step;
    if (state.filled === state.size) {
      this.#finishMetadata(state.flag, state.body, this.#offset + step - state.size);
      this.#state = HEADER;
      this.#skip = padding(state.size);
    }
    return step;
  }

  #finishMetadata(flag: string, body: Uint8Array, start: number): void {
    if (flag === "L" || flag === "K") {
      const end = body.indexOf(0);
      const name = decodeText(body, 0, end < 0 ? body.length : end, start, "long name");
      if (flag === "L") this.#longName = name;
      else this.#longLink = name;
      return;
    }
    const records = flag === "g" ? this.#global : this.#local;
    parsePax(body, records, start);
    let bytes = 0;
    for (const [key, value] of records) bytes += key.length + value.length;
    if (bytes > this.#limits.maxMetadata)
      throw corruptTar(start, `PAX headers of ${bytes} bytes are too large (limit ${this.#limits.maxMetadata})`);
  }

  #startEntry(flag: string, block: Uint8Array, start: number): void {
    if (++this.#entries > this.#limits.maxEntries)
      throw corruptTar(start, `more than ${this.#limits.maxEntries} entries`);
    const header = readHeader(block, start);
    if (this.#longName !== undefined) header.name = this.#longName;
    if (this.#longLink !== undefined) header.linkname = this.#longLink;
    if (this.#global.size > 0) applyPax(header, this.#global, this.#limits, start);
    if (this.#local.size > 0) {
      const inherited = header.xattrs;
      applyPax(header, this.#local, this.#limits, start);
      if (inherited.size > 0) header.xattrs = new Map([...inherited, ...header.xattrs]);
    }
    const sparse = this.#sparseRecords();
    this.#local.clear();
    this.#longName = undefined;
    this.#longLink = undefined;
    if (sparse.name !== undefined) header.name = sparse.name;
    finishHeader(header, this.#limits, start);
    if (flag === "S") this.#startOldSparse(header, block, start);
    else if (sparse.realSize !== undefined && header.type === "file") this.#startPaxSparse(header, sparse, start);
    else if (flag === "D") this.#emitDumpDirectory(header);
    else this.#startContent(header, header.size, start);
  }

  /** GNU.sparse.* of the entry at hand; only ever local. */
  #sparseRecords(): { readonly name?: string; readonly realSize?: number; readonly map?: string } {
    if (this.#local.size === 0) return {};
    const read = (key: string): string | undefined => {
      const value = this.#local.get(key);
      return value === undefined ? undefined : decodeText(value, 0, value.length, this.#offset, `PAX ${key}`);
    };
    const size = read("GNU.sparse.realsize") ?? read("GNU.sparse.size");
    if (size === undefined) return {};
    const realSize = parseDecimal(size);
    if (realSize === undefined || realSize < 0) throw corruptTar(this.#offset, "malformed sparse size");
    const [name, map] = [read("GNU.sparse.name"), read("GNU.sparse.map")];
    return { realSize, ...(name === undefined ? {} : { name }), ...(map === undefined ? {} : { map }) };
  }

  #startOldSparse(header: DraftHeader, block: Uint8Array, start: number): void {
    const realSize = readNumber(block, FIELD.sparseRealSize[0], FIELD.sparseRealSize[1]);
    if (realSize === undefined || realSize < 0) throw corruptTar(start, "malformed sparse size");
    this.#setRealSize(realSize, start);
    const pieces: SparsePiece[] = [];
    readOldPieces(block, FIELD.sparseMap, 4, pieces, start);
    if (block[FIELD.sparseExtended] === 0) this.#startSparse(header, pieces, header.size, start);
    else this.#state = { kind: "old-sparse", header, pieces };
  }

  #oldSparse(state: State & { kind: "old-sparse" }, block: Uint8Array, start: number): void {
    readOldPieces(block, 0, 21, state.pieces, start);
    if (state.pieces.length * 24 > this.#limits.maxMetadata) throw corruptTar(start, "the sparse map is too large");
    if (block[504] === 0) this.#startSparse(state.header, state.pieces, state.header.size, start);
  }

  #startPaxSparse(
    header: DraftHeader,
    sparse: { readonly realSize?: number; readonly map?: string },
    start: number,
  ): void {
    this.#setRealSize(sparse.realSize ?? 0, start);
    if (sparse.map !== undefined) this.#startSparse(header, parseSparseList(sparse.map, start), header.size, start);
    else this.#state = { kind: "new-sparse", header, stored: header.size, map: new Uint8Array() };
  }

  #newSparse(state: State & { kind: "new-sparse" }, block: Uint8Array, start: number): void {
    const map = new Uint8Array(state.map.length + BLOCK);
    map.set(state.map);
    map.set(block, state.map.length);
    if (map.length > this.#limits.maxMetadata || map.length > state.stored)
      throw corruptTar(start, "the sparse map is too large");
    state.map = map;
    const pieces = parseSparseBlocks(map, start);
    if (pieces !== undefined) this.#startSparse(state.header, pieces, state.stored - map.length, start);
  }

  #setRealSize(size: number, start: number): void {
    if (size > this.#limits.maxSparseSize)
      throw corruptTar(start, `a sparse file of ${size} bytes is too large (limit ${this.#limits.maxSparseSize})`);
    this.#realSize = size;
  }

  #startSparse(header: DraftHeader, pieces: SparsePiece[], stored: number, start: number): void {
    checkPieces(pieces, { real: this.#realSize, stored }, start);
    header.size = this.#realSize;
    this.#position = 0;
    this.#pieces = pieces.filter((piece) => piece.length > 0).reverse();
    // A last empty piece lets the hole at the end be found like the others.
    this.#pieces.unshift({ offset: this.#realSize, length: 0 });
    this.#startContent(header, stored, start);
  }

  #startContent(header: DraftHeader, stored: number, start: number): void {
    const empty = header.type !== "file";
    if (empty) header.size = 0;
    if (header.size > this.#limits.maxEntrySize) {
      throw corruptTar(
        start,
        `${JSON.stringify(header.name)} of ${header.size} bytes is too large (limit ${this.#limits.maxEntrySize})`,
      );
    }
    this.#current = header.name;
    this.#left = empty ? 0 : stored;
    this.#state = CONTENT;
    this.#handler.entry(header);
    this.#fillHole();
    if (this.#left === 0) this.#finishEntry(0);
    else this.#skipAfter = padding(this.#left);
  }

  /** Its content is a list of names that means nothing to us. */
  #emitDumpDirectory(header: DraftHeader): void {
    const stored = header.size;
    header.size = 0;
    this.#handler.entry(header);
    this.#handler.entryEnd();
    this.#state = HEADER;
    this.#skipContent(stored);
  }

  #finishEntry(skip: number): void {
    this.#state = HEADER;
    this.#skip = skip;
    this.#handler.entryEnd();
  }

  #content(chunk: Uint8Array, at: number): number {
    const room = Math.min(this.#left, chunk.length - at);
    const piece = this.#pieces[this.#pieces.length - 1];
    const step = piece === undefined ? room : Math.min(room, piece.offset + piece.length - this.#position);
    this.#handler.data(at === 0 && step === chunk.length ? chunk : chunk.subarray(at, at + step));
    this.#left -= step;
    if (piece !== undefined) {
      this.#position += step;
      if (this.#position === piece.offset + piece.length) {
        this.#pieces.pop();
        this.#fillHole();
      }
    }
    if (this.#left === 0) this.#finishEntry(this.#skipAfter);
    return step;
  }

  /** The zeros between here and the next piece. */
  #fillHole(): void {
    for (let piece = this.#pieces.at(-1); piece !== undefined; piece = this.#pieces.at(-1)) {
      let hole = piece.offset - this.#position;
      this.#position = piece.offset;
      if (hole > 0 && this.#handler.hole !== undefined) this.#handler.hole(hole);
      else for (; hole > 0; hole -= ZEROS.length) this.#handler.data(ZEROS.subarray(0, Math.min(hole, ZEROS.length)));
      if (piece.length > 0) return;
      this.#pieces.pop();
    }
  }
}
