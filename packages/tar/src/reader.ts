import type { TarHeader } from "./header.ts";
import type { TarLimits } from "./limits.ts";
import { TarParser } from "./parser.ts";

export interface TarEntry {
  readonly header: TarHeader;
  /** To be read once, before the next entry is asked for; what is left then is skipped. */
  readonly content: AsyncIterable<Uint8Array>;
}

type Event =
  | { readonly kind: "entry"; readonly header: TarHeader }
  | { readonly kind: "data"; readonly chunk: Uint8Array }
  | { readonly kind: "hole"; readonly length: number }
  | { readonly kind: "end" };

const ZEROS = new Uint8Array(64 * 1024);

/**
 * The entries of an archive. Reads from the stream only when asked, holds one of its chunks at a time, and ends the
 * stream when the caller stops early. Throws `corrupt` with the byte and the reason.
 */
export async function* readTar(
  stream: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
  limits: Partial<TarLimits> = {},
): AsyncGenerator<TarEntry, void, undefined> {
  const source = new EventSource(stream, limits);
  try {
    for (let event = await source.next(); event !== undefined; event = await source.next()) {
      if (event.kind === "entry") yield { header: event.header, content: contentOf(source) };
    }
  } finally {
    await source.close();
  }
}

/** Up to the entry's end. A reader that is kept beyond it finds nothing. */
async function* contentOf(source: EventSource): AsyncGenerator<Uint8Array, void, undefined> {
  const mine = source.entry;
  while (source.entry === mine && !source.atEnd) {
    const event = await source.next();
    if (event === undefined || event.kind !== "data") {
      if (event?.kind === "hole") yield* zeros(event.length);
      continue;
    }
    yield event.chunk;
  }
}

function* zeros(length: number): Generator<Uint8Array, void, undefined> {
  for (let left = length; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
}

/** Turns the parser's calls into a queue that is asked; it holds the events of one chunk. */
class EventSource {
  /** Counts entries, so that a content reader knows when its own is over. */
  entry = 0;
  atEnd = true;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #parser: TarParser;
  #queue: Event[] = [];
  #next = 0;
  #done = false;

  constructor(stream: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>, limits: Partial<TarLimits>) {
    this.#iterator = (stream as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    this.#parser = new TarParser(
      {
        entry: (header) => this.#queue.push({ kind: "entry", header }),
        data: (chunk) => this.#queue.push({ kind: "data", chunk }),
        hole: (length) => this.#queue.push({ kind: "hole", length }),
        entryEnd: () => this.#queue.push({ kind: "end" }),
      },
      limits,
    );
  }

  async next(): Promise<Event | undefined> {
    while (this.#next === this.#queue.length) {
      if (this.#done) return undefined;
      this.#queue = [];
      this.#next = 0;
      const { done, value } = await this.#iterator.next();
      if (done) {
        this.#done = true;
        this.#parser.end();
      } else {
        this.#parser.push(value);
      }
    }
    const event = this.#queue[this.#next++];
    if (event?.kind === "entry") {
      this.entry++;
      this.atEnd = false;
    } else if (event?.kind === "end") {
      this.atEnd = true;
    }
    return event;
  }

  async close(): Promise<void> {
    if (!this.#done) await this.#iterator.return?.();
    this.#done = true;
  }
}
