/**
 * Time stamps of log records: RFC 3339 with nine digits, each later than the one before, because readers that resume
 * (`--since` the last one they saw) tell records apart by nothing else.
 */
export class LogClock {
  #second = 0;
  #nanosecond = 0;
  #prefix = "";

  /** Looks at the clock; records of one chunk then follow each other by a nanosecond. */
  tick(): void {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    const nanosecond = (now % 1000) * 1_000_000;
    if (second < this.#second || (second === this.#second && nanosecond <= this.#nanosecond)) return;
    this.#set(second, nanosecond);
  }

  next(): string {
    if (++this.#nanosecond >= 1e9) this.#set(this.#second + 1, 0);
    return `${this.#prefix}.${String(this.#nanosecond).padStart(9, "0")}Z`;
  }

  #set(second: number, nanosecond: number): void {
    if (second !== this.#second) this.#prefix = new Date(second * 1000).toISOString().slice(0, 19);
    this.#second = second;
    this.#nanosecond = nanosecond;
  }
}
