import { SlipwayError } from "./errors.ts";

/** Releases a lock; calling it again does nothing. */
export type Unlock = () => void;

interface Waiter {
  wake(unlock: Unlock): void;
}

/** Mutual exclusion by name, first come first served. Locks that nobody holds take no memory. */
export class KeyedLock {
  #queues = new Map<string, Waiter[]>();

  /** Waits for the lock of `key`. Throws `cancelled` when the signal fires first. */
  acquire(key: string, signal?: AbortSignal): Promise<Unlock> {
    if (signal?.aborted) return Promise.reject(cancelled(key, signal));
    const queue = this.#queues.get(key);
    if (queue === undefined) {
      this.#queues.set(key, []);
      return Promise.resolve(this.#unlocker(key));
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        wake(unlock) {
          signal?.removeEventListener("abort", abandon);
          resolve(unlock);
        },
      };
      const abandon = () => {
        queue.splice(queue.indexOf(waiter), 1);
        reject(cancelled(key, signal));
      };
      signal?.addEventListener("abort", abandon, { once: true });
      queue.push(waiter);
    });
  }

  /** Runs `work` while holding the lock. */
  async with<T>(key: string, work: () => Promise<T> | T, signal?: AbortSignal): Promise<T> {
    const unlock = await this.acquire(key, signal);
    try {
      return await work();
    } finally {
      unlock();
    }
  }

  /** Whether somebody waits for the lock of `key`. */
  isAwaited(key: string): boolean {
    return (this.#queues.get(key)?.length ?? 0) > 0;
  }

  #unlocker(key: string): Unlock {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.#queues.get(key)?.shift();
      if (next === undefined) this.#queues.delete(key);
      else next.wake(this.#unlocker(key));
    };
  }
}

function cancelled(key: string, signal: AbortSignal | undefined): SlipwayError {
  return new SlipwayError("cancelled", `stopped waiting for ${key}`, { cause: signal?.reason });
}
