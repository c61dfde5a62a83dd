/** Milliseconds of work after which others get their turn. */
const BREATH_MS = 1;

/** Lets long work stop for the requests that wait, whenever it has run for a millisecond. */
export class Breath {
  #since = performance.now();

  async take(): Promise<void> {
    if (performance.now() - this.#since < BREATH_MS) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}
