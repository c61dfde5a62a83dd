import type { StdioSession } from "@slipway/runtime";

/** Milliseconds that a client gets to take the last output; Docker's, too. One that does not read must not keep the rest waiting. */
const LAST_WORDS = 2000;

/**
 * Who is attached to which container. The end of a container is told only after those who are attached have had its output:
 * clients take the answer of a wait for "nothing more comes".
 */
export class OpenSessions {
  readonly #ends = new Map<string, Set<Promise<void>>>();

  /** The same session, noticed until it is let go with `detach`. */
  watch(id: string, session: StdioSession): StdioSession {
    const { promise: end, resolve } = Promise.withResolvers<void>();
    const ends = this.#ends.get(id) ?? new Set();
    this.#ends.set(id, ends.add(end));
    const done = (): void => {
      ends.delete(end);
      if (ends.size === 0 && this.#ends.get(id) === ends) this.#ends.delete(id);
      resolve();
    };
    return {
      output: session.output,
      write: (data) => session.write(data),
      closeStdin: () => session.closeStdin(),
      detach: () => {
        session.detach();
        done();
      },
    };
  }

  /** Resolves when nobody is attached any more, or after a while. */
  async drained(id: string): Promise<void> {
    const ends = this.#ends.get(id);
    if (ends === undefined) return;
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, LAST_WORDS);
    await Promise.race([Promise.all(ends), timeout.promise]);
    clearTimeout(timer);
  }
}
