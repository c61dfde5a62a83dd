import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import type { LogPolicy } from "../faces.ts";
import { LogClock } from "./log-clock.ts";
import { logPath, rotatedPath } from "./log-paths.ts";

/** A longer line is cut into records of this many bytes, as Docker does. */
const LONGEST_LINE = 16 * 1024;
const NEWLINE = 10;

/** The last, unfinished line of each stream. */
type Partial = Record<"stdout" | "stderr", Buffer>;

/**
 * Writes a container's output as lines of JSON that Docker's tools for `json-file` read, and rotates: the newest file has
 * the plain name, older ones `.1`, `.2` and so on. A full disk loses lines and never stops the container.
 */
export class LogWriter {
  readonly #path: string;
  readonly #policy: LogPolicy;
  readonly #clock = new LogClock();
  readonly #partial: Partial = { stdout: EMPTY, stderr: EMPTY };
  #fd: number;
  #size: number;
  #text = "";

  constructor(directory: string, id: string, policy: LogPolicy) {
    this.#path = logPath(directory, id, policy.driver);
    this.#policy = policy;
    this.#fd = openSync(this.#path, "a", 0o640);
    this.#size = fstatSync(this.#fd).size;
  }

  /** The beginning of a line whose end has not come yet. */
  partial(stream: "stdout" | "stderr"): Buffer {
    return this.#partial[stream];
  }

  /** Takes up an unfinished line where a predecessor left it. */
  restorePartial(stream: "stdout" | "stderr", data: Buffer): void {
    this.#partial[stream] = data;
  }

  /** Everything but an unfinished line is in the file when this returns. The chunk is not kept. */
  write(stream: "stdout" | "stderr", chunk: Buffer): void {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    const rest = this.#partial[stream];
    this.#clock.tick();
    if (end > 0) {
      const whole = chunk.subarray(0, end);
      const text = rest.length === 0 ? whole.toString("utf8") : Buffer.concat([rest, whole]).toString("utf8");
      this.#lines(stream, text);
      this.#partial[stream] = end === chunk.length ? EMPTY : Buffer.from(chunk.subarray(end));
    } else {
      this.#partial[stream] = Buffer.concat([rest, chunk]);
    }
    this.#cutPartial(stream);
    this.#flush();
  }

  /** Writes what is unfinished, without a newline. */
  end(): void {
    this.#clock.tick();
    for (const stream of ["stdout", "stderr"] as const) {
      const rest = this.#partial[stream];
      if (rest.length > 0) this.#record(stream, rest.toString("utf8"), "");
      this.#partial[stream] = EMPTY;
    }
    this.#flush();
  }

  close(): void {
    closeSync(this.#fd);
  }

  #lines(stream: "stdout" | "stderr", text: string): void {
    let from = 0;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", from)) {
      let line = text.slice(from, at);
      while (line.length > LONGEST_LINE) {
        this.#record(stream, line.slice(0, LONGEST_LINE), "");
        line = line.slice(LONGEST_LINE);
      }
      this.#record(stream, line, "\\n");
      from = at + 1;
    }
  }

  #cutPartial(stream: "stdout" | "stderr"): void {
    let rest = this.#partial[stream];
    while (rest.length >= LONGEST_LINE) {
      const cut = characterBorder(rest, LONGEST_LINE);
      this.#record(stream, rest.toString("utf8", 0, cut), "");
      rest = Buffer.from(rest.subarray(cut));
    }
    this.#partial[stream] = rest;
  }

  #record(stream: "stdout" | "stderr", line: string, ending: string): void {
    // JSON.stringify only for the text: the quotes and the rest of the record are the same for each.
    const quoted = JSON.stringify(line);
    this.#text += `{"log":${quoted.slice(0, -1)}${ending}","stream":"${stream}","time":"${this.#clock.next()}"}\n`;
    if (this.#policy.maxSize > 0 && this.#size + this.#text.length >= this.#policy.maxSize) {
      this.#flush();
      this.#rotate();
    }
  }

  #flush(): void {
    if (this.#text === "") return;
    const bytes = Buffer.from(this.#text);
    this.#text = "";
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#fd, bytes, written);
      this.#size += bytes.length;
    } catch {
      // No space: the container matters more than its log. A record cut short is skipped by readers.
    }
  }

  #rotate(): void {
    const { maxFiles } = this.#policy;
    try {
      if (maxFiles <= 1) {
        rmSync(this.#path, { force: true });
      } else {
        for (let n = maxFiles - 1; n > 1; n--)
          renameQuietly(rotatedPath(this.#path, n - 1), rotatedPath(this.#path, n));
        renameSync(this.#path, rotatedPath(this.#path, 1));
      }
      const fresh = openSync(this.#path, "a", 0o640);
      closeSync(this.#fd);
      this.#fd = fresh;
      this.#size = 0;
    } catch {
      // Without room for a new file the old one goes on growing; the next record tries again.
    }
  }
}

const EMPTY = Buffer.alloc(0);

function renameQuietly(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // There are not that many files yet.
  }
}

/** The last border between UTF-8 characters at or before `at`. */
function characterBorder(bytes: Buffer, at: number): number {
  let border = at;
  while (border > at - 4 && ((bytes[border] ?? 0) & 0xc0) === 0x80) border--;
  return ((bytes[border] ?? 0) & 0xc0) === 0x80 ? at : border;
}
