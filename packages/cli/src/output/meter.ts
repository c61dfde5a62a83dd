import { asStream } from "../input-file.ts";
import type { Io } from "../io.ts";
import { redraws } from "./colour.ts";
import { Pace, shortDuration } from "./pace.ts";

/** Milliseconds: what is over sooner shows nothing. */
const FIRST = 500;
const INTERVAL = 250;

export interface MeterOptions {
  /** What is going on: `Saving`. */
  readonly doing: string;
  /** Bytes, when they are known. */
  readonly total?: number | undefined;
  /** Asked for the bytes so far at each picture, for work that does not pass through here. */
  readonly current?: () => number | undefined;
}

/** One line on stderr that tells how far a long job is; silent where no cursor can be moved. */
export class Meter implements Disposable {
  readonly #io: Io;
  readonly #options: MeterOptions;
  readonly #pace = new Pace();
  readonly #began = performance.now();
  readonly #timer: Timer | undefined;
  #bytes = 0;
  #drawn = false;

  constructor(io: Io, options: MeterOptions) {
    this.#io = io;
    this.#options = options;
    this.#timer = redraws(io.stderr, io.env) ? setInterval(() => this.#draw(), INTERVAL) : undefined;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** The same stream, counted if anybody sees it: a plain file's goes the shortest way otherwise. */
  counting(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    return this.#timer === undefined ? stream : asStream(this.#counted(stream));
  }

  async *#counted(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of stream) {
      this.#bytes += chunk.length;
      yield chunk;
    }
  }

  /** Takes the line away, before others write; it comes again unless the meter has ended. */
  clear(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    this.#io.stderr.write("\r\x1b[K");
    void this.#io.stderr.flush();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #draw(): void {
    const passed = performance.now() - this.#began;
    const current = this.#options.current?.() ?? this.#bytes;
    const pace = this.#pace.text(current, this.#options.total);
    if (passed < FIRST) return;
    const text = `${this.#options.doing} ${current === 0 ? shortDuration(Math.floor(passed / 1000)) : pace}`;
    this.#drawn = true;
    this.#io.stderr.write(`\r${text.slice(0, Math.max(this.#io.stderr.size().columns - 1, 10))}\x1b[K`);
    void this.#io.stderr.flush();
  }
}

/** Whether a meter would show anything: what it costs to know a total is spent only then. */
export function showsMeter(io: Io): boolean {
  return redraws(io.stderr, io.env);
}
