import { closeFd, READY, WOULD_BLOCK, writeSome } from "@slipway/sys";
import type { Loop } from "./loop.ts";

/** The writing end of a container's stdin or terminal. What does not fit waits here until `onDrain`. */
export class InputPipe {
  readonly fd: number;
  readonly #loop: Loop;
  readonly #onDrain: () => void;
  readonly #onClosed: () => void;
  readonly #shared: boolean;
  #queue: Buffer[] = [];
  #queued = 0;
  #ending = false;
  #closed = false;
  #watched = false;

  /** `shared`: the descriptor is a terminal's, which the output side watches and closes. */
  constructor(
    loop: Loop,
    options: {
      readonly fd: number;
      readonly shared: boolean;
      readonly onDrain: () => void;
      readonly onClosed: () => void;
    },
  ) {
    this.#loop = loop;
    this.fd = options.fd;
    this.#shared = options.shared;
    this.#onDrain = options.onDrain;
    this.#onClosed = options.onClosed;
  }

  get queued(): number {
    return this.#queued;
  }

  get closed(): boolean {
    return this.#closed;
  }

  write(data: Uint8Array): void {
    if (this.#closed || this.#ending) return;
    this.#queue.push(Buffer.from(data));
    this.#queued += data.length;
    if (this.#queue.length === 1) this.#flush();
  }

  /** The reader sees the end after all that was written. A terminal has no end. */
  end(): void {
    if (this.#shared) return;
    this.#ending = true;
    if (this.#queued === 0) this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#queued = 0;
    if (this.#watched) this.#loop.unwatch(this.fd);
    if (!this.#shared) closeFd(this.fd);
    this.#onClosed();
  }

  #flush(): void {
    try {
      for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
        const written = writeSome(this.fd, first);
        if (written === WOULD_BLOCK) break;
        this.#queued -= written;
        if (written === first.length) this.#queue.shift();
        else this.#queue[0] = first.subarray(written);
      }
    } catch {
      // Nobody reads any more.
      this.close();
      return;
    }
    this.#waitIfNeeded();
    if (this.#ending && this.#queued === 0) this.close();
    else this.#onDrain();
  }

  #waitIfNeeded(): void {
    const waiting = this.#queued > 0;
    if (this.#shared) {
      // A terminal's descriptor is already watched for its output; a short timer is enough for pasted text.
      if (waiting) this.#loop.after(TERMINAL_RETRY, () => this.#flush());
    } else if (!this.#watched && waiting) {
      this.#watched = true;
      this.#loop.watch(this.fd, READY.out, () => this.#flush());
    } else if (this.#watched) {
      this.#loop.change(this.fd, waiting ? READY.out : 0);
    }
  }
}

/** Milliseconds. */
const TERMINAL_RETRY = 5;
