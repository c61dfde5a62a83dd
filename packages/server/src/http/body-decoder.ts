import { SlipwayError } from "@slipway/base";
import type { BodyFraming } from "./request-head.ts";

const MAX_CHUNK_LINE = 4096;
const MAX_TRAILER_BYTES = 32 * 1024;
const CR = 13;
const LF = 10;

type ChunkState = "size" | "data" | "data-end" | "trailer";

/** Takes the bytes after a request's head and gives those that belong to its body. */
export class BodyDecoder {
  #done: boolean;
  readonly #chunked: boolean;
  /** Bytes left of the body, or of the chunk. */
  #left: number;
  #state: ChunkState = "size";
  #line = "";
  #trailerBytes = 0;

  constructor(framing: BodyFraming) {
    this.#chunked = framing.kind === "chunked";
    this.#left = framing.kind === "length" ? framing.length : 0;
    this.#done = framing.kind === "none";
  }

  get done(): boolean {
    return this.#done;
  }

  /** Calls `onData` with parts of the body and returns what follows the body. Throws `invalid` for bad chunks. */
  push(bytes: Uint8Array, onData: (data: Uint8Array) => void): Uint8Array {
    return this.#chunked ? this.#pushChunked(bytes, onData) : this.#pushPlain(bytes, onData);
  }

  #pushPlain(bytes: Uint8Array, onData: (data: Uint8Array) => void): Uint8Array {
    const taken = Math.min(this.#left, bytes.length);
    if (taken > 0) onData(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    this.#left -= taken;
    if (this.#left === 0) this.#done = true;
    return bytes.subarray(taken);
  }

  #pushChunked(bytes: Uint8Array, onData: (data: Uint8Array) => void): Uint8Array {
    let at = 0;
    while (at < bytes.length && !this.#done) {
      if (this.#state === "data") {
        const taken = Math.min(this.#left, bytes.length - at);
        onData(bytes.subarray(at, at + taken));
        at += taken;
        if ((this.#left -= taken) === 0) this.#state = "data-end";
      } else {
        at = this.#readLine(bytes, at);
      }
    }
    return bytes.subarray(at);
  }

  #readLine(bytes: Uint8Array, from: number): number {
    const end = bytes.indexOf(LF, from);
    const stop = end < 0 ? bytes.length : end;
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + from, stop - from).toString("latin1");
    if (this.#line.length > MAX_CHUNK_LINE) throw bad("line too long");
    if (end < 0) return stop;
    if (this.#line.charCodeAt(this.#line.length - 1) !== CR) throw bad("line ends without CR");
    const line = this.#line.slice(0, -1);
    this.#line = "";
    this.#onLine(line);
    return end + 1;
  }

  #onLine(line: string): void {
    switch (this.#state) {
      case "size": {
        const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(line)?.[1];
        if (size === undefined) throw bad("bad chunk size");
        this.#left = Number.parseInt(size, 16);
        this.#state = this.#left === 0 ? "trailer" : "data";
        return;
      }
      case "data-end":
        if (line !== "") throw bad("chunk is longer than its size");
        this.#state = "size";
        return;
      case "trailer":
        this.#trailerBytes += line.length + 2;
        if (this.#trailerBytes > MAX_TRAILER_BYTES) throw bad("trailer too long");
        if (line === "") this.#done = true;
        return;
      case "data":
        throw bad("internal state");
    }
  }
}

function bad(why: string): SlipwayError {
  return new SlipwayError("invalid", `bad request: chunked body: ${why}`);
}
