/**
 * Bytes from a socket on their way to a reader. It asks the socket to pause when the reader is slow, so that a body of
 * gigabytes needs no more memory than the high-water mark.
 */
export class ByteQueue implements AsyncIterable<Uint8Array> {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #failure: unknown;
  #abandoned = false;
  #wake: (() => void) | undefined;
  readonly #highWater: number;
  readonly #setPaused: (paused: boolean) => void;

  constructor(highWater: number, setPaused: (paused: boolean) => void) {
    this.#highWater = highWater;
    this.#setPaused = setPaused;
  }

  push(chunk: Uint8Array): void {
    if (this.#abandoned || this.#ended || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= this.#highWater) this.#setPaused(true);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure ??= error;
    this.end();
  }

  /** Nobody reads any more: what is here and what comes is dropped. */
  abandon(): void {
    this.#abandoned = true;
    this.#chunks = [];
    this.#bytes = 0;
    this.#setPaused(false);
    this.#wake?.();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The next bytes, all that have arrived so far as one list's head; undefined at the end. Throws what `fail` was given. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.length;
        if (this.#bytes < this.#highWater) this.#setPaused(false);
        return chunk;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended || this.#abandoned) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) yield chunk;
  }
}
