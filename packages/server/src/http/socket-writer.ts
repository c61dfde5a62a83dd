import { SlipwayError } from "@slipway/base";
import { unreadByPeer } from "@slipway/sys";

/** The part of a Bun socket that is written to. */
export interface WritableSocket {
  /** Bytes taken, perhaps fewer than given; negative when the socket is closed. */
  write(data: Uint8Array): number;
  end(): unknown;
}

/** Above this many unsent bytes a writer waits. */
const HIGH_WATER = 64 * 1024;

/** Milliseconds that a peer gets to read what it was sent. */
const PATIENCE = 100;

/** Ordered writing with back-pressure over a socket that takes only what fits. */
export class SocketWriter {
  readonly #socket: WritableSocket;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #closed = false;
  #ending = false;
  #waiters: { resolve(): void; reject(error: unknown): void }[] = [];

  constructor(socket: WritableSocket) {
    this.#socket = socket;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends bytes, or keeps them until the socket drains. Returns undefined at once when little is waiting, else a promise
   * that resolves when it is time to go on and rejects with `cancelled` when the peer is gone.
   */
  write(...parts: readonly Uint8Array[]): Promise<void> | undefined {
    if (this.#closed) return Promise.reject(gone());
    for (const data of parts) {
      const taken = this.#queued === 0 ? this.#send(data) : 0;
      if (taken < data.length) {
        this.#queue.push(taken === 0 ? data : data.subarray(taken));
        this.#queued += data.length - taken;
      }
    }
    if (this.#queued <= HIGH_WATER) return undefined;
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Resolves when the peer has read everything from its end of the unix socket `fd`, is gone, or does not read for a while. */
  async taken(fd: number | undefined): Promise<void> {
    const deadline = performance.now() + PATIENCE;
    while (!this.#closed && fd !== undefined && fd >= 0 && performance.now() < deadline) {
      if (this.#queued === 0 && unreadByPeer(fd) === 0) return;
      await Bun.sleep(1);
    }
  }

  /** Closes the write side once everything is sent. */
  end(): void {
    this.#ending = true;
    if (this.#queued === 0 && !this.#closed) this.#socket.end();
  }

  onDrain(): void {
    while (this.#queue.length > 0) {
      const head = this.#queue[0] as Uint8Array;
      const taken = this.#send(head);
      this.#queued -= taken;
      if (taken < head.length) {
        this.#queue[0] = head.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.resolve();
    if (this.#ending && !this.#closed) this.#socket.end();
  }

  onClose(): void {
    this.#closed = true;
    this.#queue = [];
    this.#queued = 0;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(gone());
  }

  #send(data: Uint8Array): number {
    return Math.max(0, this.#socket.write(data));
  }
}

function gone(): SlipwayError {
  return new SlipwayError("cancelled", "the client closed the connection");
}
