/** Work that nobody waits for now, but that must have ended before the engine does. */
export class PendingWork {
  readonly #pending = new Set<Promise<void>>();

  /** Work that never rejects. */
  add(work: Promise<void>): Promise<void> {
    this.#pending.add(work);
    return work.finally(() => this.#pending.delete(work));
  }

  /** Resolves when everything has ended, also what was added meanwhile. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }
}
