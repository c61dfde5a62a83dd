import { createHash, type Hash } from "node:crypto";
import { readSync, writeSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import { type RingWriter, SLOT_SIZE } from "../workers/hash-ring.ts";

/** Large enough that calls are few, small enough to stay in the processor's cache between reading and hashing. */
const BUFFER_SIZE = SLOT_SIZE;

export interface TarSinkOptions {
  /** Receives the bytes; they are only valid during the call unless `handOver` is set. */
  readonly write?: (bytes: Uint8Array) => void;
  /** Each `write` gets memory of its own. */
  readonly handOver?: boolean;
  /** Another thread hashes. */
  readonly ring?: RingWriter;
}

/** Where the bytes of a tar go: hashed, counted, and written in pieces of a megabyte, whatever the sizes that come in. */
export class TarSink {
  readonly #hash: Hash = createHash("sha256");
  readonly #write: ((bytes: Uint8Array) => void) | undefined;
  readonly #handOver: boolean;
  readonly #ring: RingWriter | undefined;
  #buffer: Uint8Array;
  #used = 0;
  #flushed = 0;

  constructor(options: TarSinkOptions = {}) {
    this.#write = options.write;
    this.#handOver = options.handOver === true;
    this.#ring = options.ring;
    this.#buffer = this.#ring?.slot() ?? new Uint8Array(BUFFER_SIZE);
  }

  /** Bytes so far. */
  get position(): number {
    return this.#flushed + this.#used;
  }

  append(bytes: Uint8Array): void {
    if (bytes.length <= this.#room) {
      this.#buffer.set(bytes, this.#used);
      this.#used += bytes.length;
      if (this.#room === 0) this.#flush();
      return;
    }
    for (let offset = 0; offset < bytes.length; ) {
      const part = bytes.subarray(offset, offset + this.#room);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
      offset += part.length;
      if (this.#room === 0) this.#flush();
    }
  }

  /** `count` zero bytes, at most 1024. */
  zeros(count: number): void {
    if (count > this.#room) {
      this.append(new Uint8Array(count));
      return;
    }
    this.#buffer.fill(0, this.#used, this.#used + count);
    this.#used += count;
    if (this.#room === 0) this.#flush();
  }

  /**
   * Appends `size` bytes of an open file, read straight into the buffer, from `position` or where the file stands.
   * `exact` also looks one byte further and throws `conflict` if the file goes on. Throws `conflict` if it ends early.
   * `tee` sees the bytes as they pass.
   */
  appendFile(fd: number, size: number, options: FileRange): void {
    let missing = size;
    let position = options.position ?? null;
    // A small file goes into one read, together with the look one byte further: make room for that.
    if (size < BUFFER_SIZE && this.#room <= size) this.#flush();
    const wanted = options.exact === true ? 1 : 0;
    for (;;) {
      const length = Math.min(this.#room, missing + wanted);
      if (length === 0) break;
      const count = readSync(fd, this.#buffer, this.#used, length, position);
      if (count > missing || (count === 0 && missing > 0)) throw changed(options.path, size);
      if (count === 0) break;
      options.tee?.(this.#buffer.subarray(this.#used, this.#used + count));
      this.#used += count;
      missing -= count;
      if (position !== null) position += count;
      if (this.#room === 0) this.#flush();
      // A short read of a small file was its end; asking again would be a call more for each of thousands.
      if (missing === 0 && count < length) break;
    }
  }

  /** Sends off what is left. */
  end(): { readonly digest: Digest; readonly size: number } {
    this.#flush();
    const hex = this.#ring?.digest() ?? this.#hash.digest("hex");
    return { digest: `sha256:${hex}` as Digest, size: this.#flushed };
  }

  get #room(): number {
    return BUFFER_SIZE - this.#used;
  }

  #flush(): void {
    if (this.#used === 0) return;
    const bytes = this.#buffer.subarray(0, this.#used);
    // Hashed first: what is handed over is gone.
    if (this.#ring === undefined) this.#hash.update(bytes);
    else this.#ring.push(this.#used);
    this.#flushed += this.#used;
    this.#used = 0;
    this.#write?.(bytes);
    if (this.#ring !== undefined) this.#buffer = this.#ring.slot();
    if (this.#handOver) this.#buffer = new Uint8Array(BUFFER_SIZE);
  }
}

export interface FileRange {
  /** For the message. */
  readonly path: string;
  readonly position?: number;
  readonly exact?: boolean;
  readonly tee?: (bytes: Uint8Array) => void;
}

function changed(path: string, size: number): SlipwayError {
  return new SlipwayError("conflict", `${path} changed while it was read: it does not have ${size} bytes any more`, {
    hint: "Try again when nothing writes to it.",
  });
}

/** All of the bytes to a file descriptor, where it stands or at `position`. */
export function writeFully(fd: number, bytes: Uint8Array, position?: number): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(
      fd,
      bytes,
      written,
      bytes.length - written,
      position === undefined ? null : position + written,
    );
  }
}
