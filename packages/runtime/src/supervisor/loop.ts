import { Epoll } from "@slipway/sys";

type Handler = (ready: number) => void;

interface Watched {
  readonly handler: Handler;
  interest: number;
}

/**
 * The supervisor's event loop: descriptors, timers, nothing else. It is ours and not the runtime's because only so can a
 * pipe be known to be readable without being read: what was read and not yet logged would die with this process.
 */
export class Loop {
  readonly #epoll = new Epoll();
  readonly #watched = new Map<number, Watched>();
  readonly #timers = new Map<number, { readonly at: number; readonly run: () => void }>();
  #nextTimer = 1;
  #running = false;

  /** `interest` 0 watches nothing for now: not even a hang-up, which would be reported again and again. */
  watch(fd: number, interest: number, handler: Handler): void {
    this.#watched.set(fd, { handler, interest });
    if (interest !== 0) this.#epoll.add(fd, interest);
  }

  change(fd: number, interest: number): void {
    const watched = this.#watched.get(fd);
    if (watched === undefined || watched.interest === interest) return;
    if (interest === 0) this.#epoll.delete(fd);
    else if (watched.interest === 0) this.#epoll.add(fd, interest);
    else this.#epoll.modify(fd, interest);
    watched.interest = interest;
  }

  unwatch(fd: number): void {
    const watched = this.#watched.get(fd);
    if (watched === undefined) return;
    if (watched.interest !== 0) this.#epoll.delete(fd);
    this.#watched.delete(fd);
  }

  /** Runs something once after some milliseconds; the returned function prevents that. */
  after(milliseconds: number, run: () => void): () => void {
    const key = this.#nextTimer++;
    this.#timers.set(key, { at: performance.now() + milliseconds, run });
    return () => this.#timers.delete(key);
  }

  /** Returns after `stop`. */
  run(): void {
    this.#running = true;
    while (this.#running) {
      this.#epoll.wait(this.#timeout(), (fd, ready) => this.#handle(fd, ready));
      this.#runTimers();
    }
  }

  stop(): void {
    this.#running = false;
  }

  /** One stream that fails must not take the others with it. */
  #handle(fd: number, ready: number): void {
    try {
      this.#watched.get(fd)?.handler(ready);
    } catch (error) {
      console.error(`descriptor ${fd} is not watched any more:`, error);
      this.unwatch(fd);
    }
  }

  #timeout(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const timer of this.#timers.values()) earliest = Math.min(earliest, timer.at);
    if (earliest === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, Math.ceil(earliest - performance.now()));
  }

  #runTimers(): void {
    const now = performance.now();
    for (const [key, timer] of [...this.#timers]) {
      if (timer.at > now || !this.#timers.delete(key)) continue;
      try {
        timer.run();
      } catch (error) {
        console.error("a timer failed:", error);
      }
    }
  }
}
