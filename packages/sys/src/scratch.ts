import { ptr } from "bun:ffi";
import { SlipwayError } from "@slipway/base";
import { ENAMETOOLONG, SystemError } from "./system-error.ts";

const RING = 512 * 1024;
const LARGEST = 128 * 1024;
/** Linux' PATH_MAX, with the closing NUL. */
const PATH_MAX = 4096;

/**
 * Memory that system calls read and write, taken in turns from one ring and never freed: what is taken stays valid until
 * 384 KiB more have been taken, far longer than any one call here. Every call here is synchronous, so nothing interleaves.
 */
export class Scratch {
  readonly bytes: Buffer = Buffer.from(new ArrayBuffer(RING));
  readonly view: DataView = new DataView(this.bytes.buffer, this.bytes.byteOffset, RING);
  readonly #base: number = Number(ptr(this.bytes));
  #next = 0;

  /** Offset of `size` bytes, aligned to 8, with whatever was there before. */
  take(size: number): number {
    if (size > LARGEST) throw new SlipwayError("invalid", `a kernel argument of ${size} bytes is too large`);
    if (this.#next + size > RING) this.#next = 0;
    const offset = this.#next;
    this.#next = (offset + size + 7) & ~7;
    return offset;
  }

  /** Offset of `size` zeroed bytes. */
  zeroed(size: number): number {
    const offset = this.take(size);
    this.bytes.fill(0, offset, offset + size);
    return offset;
  }

  address(offset: number): number {
    return this.#base + offset;
  }

  /** Address of a path, closed by NUL. */
  path(text: string): number {
    if (text.length >= PATH_MAX) throw new SystemError("path", ENAMETOOLONG, `${text.slice(0, 64)}...`);
    return this.string(text);
  }

  /** Address of a text, closed by NUL. A NUL inside is refused: the kernel would silently see a shorter name. */
  string(text: string): number {
    if (text.includes("\0")) throw new SlipwayError("invalid", `NUL byte in ${JSON.stringify(text.slice(0, 256))}`);
    const offset = this.take(text.length * 3 + 1);
    const length = this.bytes.write(text, offset);
    this.bytes[offset + length] = 0;
    return this.#base + offset;
  }

  /** Address of a copy of bytes. */
  copy(bytes: Uint8Array): number {
    const offset = this.take(Math.max(bytes.length, 1));
    this.bytes.set(bytes, offset);
    return this.#base + offset;
  }

  /** The text that the kernel wrote at an offset: up to `length` bytes or the first NUL. */
  text(offset: number, length: number): string {
    const end = this.bytes.indexOf(0, offset);
    return this.bytes.toString("utf8", offset, end < 0 || end > offset + length ? offset + length : end);
  }
}

let shared: Scratch | undefined;

export function scratch(): Scratch {
  return (shared ??= new Scratch());
}
