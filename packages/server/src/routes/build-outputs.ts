import { SlipwayError } from "@slipway/base";

/** How long an output waits to be fetched, in milliseconds. The CLI asks for it at once. */
const LIFETIME = 120_000;

/** Results of builds that wait for their client to fetch them, each once. */
export class BuildOutputs {
  readonly #waiting = new Map<string, { readonly stream: ReadableStream<Uint8Array>; readonly timer: Timer }>();

  put(id: string, stream: ReadableStream<Uint8Array>): void {
    const timer = setTimeout(() => {
      this.#waiting.delete(id);
      // It may hold files or a lease: whoever made it lets go when it is cancelled.
      stream.cancel("nobody fetched the output").catch(() => {});
    }, LIFETIME);
    timer.unref();
    this.#waiting.set(id, { stream, timer });
  }

  /** Throws `not-found` the second time. */
  take(id: string): ReadableStream<Uint8Array> {
    const entry = this.#waiting.get(id);
    if (entry === undefined) {
      throw new SlipwayError("not-found", "No such build output: it was fetched already, or waited too long");
    }
    clearTimeout(entry.timer);
    this.#waiting.delete(id);
    return entry.stream;
  }
}
