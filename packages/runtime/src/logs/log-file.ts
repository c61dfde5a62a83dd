import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { timeOfLine } from "./log-record.ts";

const BLOCK = 256 * 1024;
const NEWLINE = 10;

/** One open log file, which keeps being the same when it is renamed by a rotation. */
export class LogFile implements Disposable {
  readonly #fd: number;
  readonly inode: number;
  /** The beginning of a line at the end of what was read. */
  #rest = Buffer.alloc(0);
  #position = 0;

  private constructor(fd: number) {
    this.#fd = fd;
    this.inode = fstatSync(fd).ino;
  }

  static open(path: string): LogFile | undefined {
    try {
      return new LogFile(openSync(path, "r"));
    } catch {
      return undefined;
    }
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Nanoseconds since the epoch of the last change. */
  get changed(): bigint {
    return fstatSync(this.#fd, { bigint: true }).mtimeNs;
  }

  seek(position: number): void {
    this.#position = position;
    this.#rest = Buffer.alloc(0);
  }

  /** The next whole lines, each with its newline, for the caller to change at will; undefined at the end for now. */
  lines(): Buffer | undefined {
    const block = Buffer.allocUnsafe(BLOCK);
    for (;;) {
      const count = readSync(this.#fd, block, 0, BLOCK, this.#position);
      if (count === 0) return undefined;
      this.#position += count;
      const bytes =
        this.#rest.length === 0 ? block.subarray(0, count) : Buffer.concat([this.#rest, block.subarray(0, count)]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      this.#rest = Buffer.from(bytes.subarray(end));
      if (end > 0) return bytes.subarray(0, end);
    }
  }

  /** Where the last `wanted` lines begin, and how many there are if the file has fewer. */
  tail(wanted: number): { readonly position: number; readonly found: number } {
    const block = Buffer.allocUnsafe(BLOCK);
    let found = 0;
    // What stands behind the last newline is not a record yet.
    let ends = 0;
    for (let end = this.size; end > 0; ) {
      const start = Math.max(0, end - BLOCK);
      const count = readSync(this.#fd, block, 0, end - start, start);
      for (
        let at = block.lastIndexOf(NEWLINE, count - 1);
        at >= 0;
        at = at === 0 ? -1 : block.lastIndexOf(NEWLINE, at - 1)
      ) {
        if (++ends > wanted) return { position: start + at + 1, found: wanted };
        found = ends;
      }
      end = start;
    }
    return { position: 0, found };
  }

  /** A line's beginning before which everything is older than `since`: by halving, because times only grow. */
  seekTime(since: bigint): void {
    let [low, high] = [0, this.size];
    while (high - low > BLOCK) {
      const middle = low + Math.floor((high - low) / 2);
      const line = this.#lineAfter(middle);
      const time = line === undefined ? undefined : timeOfLine(line.text);
      if (line === undefined || time === undefined) break;
      if (time < since) low = line.position;
      else high = middle;
    }
    this.seek(low);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** The first line that begins at or after a position other than the file's beginning. */
  #lineAfter(position: number): { readonly position: number; readonly text: string } | undefined {
    const block = Buffer.allocUnsafe(128 * 1024);
    const count = readSync(this.#fd, block, 0, block.length, position);
    const bytes = block.subarray(0, count);
    const start = bytes.indexOf(NEWLINE) + 1;
    const end = bytes.indexOf(NEWLINE, start);
    return start === 0 || end < 0
      ? undefined
      : { position: position + start, text: bytes.toString("utf8", start, end) };
  }
}
