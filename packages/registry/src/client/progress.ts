/** One step of a transfer, in Docker's words, for one layer or (without `id`) for the whole. Bytes. */
export interface TransferProgress {
  readonly id?: string;
  readonly status: string;
  readonly current?: number;
  readonly total?: number;
}

export type OnProgress = (progress: TransferProgress) => void;

/** Milliseconds between two reports of one layer's bytes: nobody reads faster. */
const REPORT_MS = 100;

/** Reports bytes now and then, never so often that reporting is the work. */
export class ByteReporter {
  readonly #report: OnProgress;
  readonly #step: Omit<TransferProgress, "current">;
  #last = 0;

  constructor(report: OnProgress, step: Omit<TransferProgress, "current">) {
    this.#report = report;
    this.#step = step;
  }

  at(current: number): void {
    const now = performance.now();
    if (now - this.#last < REPORT_MS && current !== this.#step.total) return;
    this.#last = now;
    this.#report({ ...this.#step, current });
  }
}

/** The twelve digits by which Docker shows a layer. */
export function layerId(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1).slice(0, 12);
}

/** What somebody who joins a transfer that runs is told: where it stands, then all that follows. */
export class SharedProgress {
  readonly #listeners = new Map<string, Set<OnProgress>>();

  /** Calls `listener` for the key's reports until the answer is called. */
  listen(key: string, listener: OnProgress): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(key);
    };
  }

  /** Whether anybody listens. */
  has(key: string): boolean {
    return this.#listeners.has(key);
  }

  report(key: string, progress: TransferProgress): void {
    for (const listener of this.#listeners.get(key) ?? []) listener(progress);
  }
}
