import type { Unlock } from "./keyed-lock.ts";

/** At most `permits` holders at once, first come first served. */
export class Semaphore {
  #free: number;
  #queue: Array<() => void> = [];

  constructor(permits: number) {
    this.#free = permits;
  }

  async acquire(signal?: AbortSignal): Promise<Unlock> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.#queue.shift();
      if (next === undefined) this.#free++;
      else next();
    };
  }

  async with<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => {
        signal?.removeEventListener("abort", abandon);
        resolve();
      };
      const abandon = () => {
        this.#queue.splice(this.#queue.indexOf(wake), 1);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", abandon, { once: true });
      this.#queue.push(wake);
    });
  }
}
