import { acceptConnection, closeFd, READY, readSome, sendSome, WOULD_BLOCK } from "@slipway/sys";
import { encodeFrame, FrameReader } from "./frames.ts";
import type { Loop } from "./loop.ts";

export interface ConnectionHandler {
  frame(kind: number, payload: Buffer): void;
  /** The queue of what is to be sent became short again. */
  drained(): void;
  closed(): void;
}

const CHUNK = 64 * 1024;
/** One buffer for all: each chunk is handled before the next is read. */
let received: Buffer | undefined;

/** One framed connection in the loop. */
export class Connection {
  handler: ConnectionHandler | undefined;
  readonly #loop: Loop;
  readonly #fd: number;
  readonly #frames = new FrameReader();
  #queue: Buffer[] = [];
  #queued = 0;
  #reading = true;
  #ending = false;
  #open = true;

  constructor(loop: Loop, fd: number) {
    this.#loop = loop;
    this.#fd = fd;
    loop.watch(fd, READY.in, (ready) => this.#ready(ready));
  }

  /** Bytes that the other side has not taken yet. */
  get queued(): number {
    return this.#queued;
  }

  get open(): boolean {
    return this.#open;
  }

  send(kind: number, payload: Uint8Array): void {
    if (!this.#open || this.#ending) return;
    const frame = encodeFrame(kind, payload);
    this.#queue.push(frame);
    this.#queued += frame.length;
    if (this.#queue.length === 1) this.#flush();
  }

  /** Stops or goes on taking frames from the other side, which then waits. */
  setReading(on: boolean): void {
    if (this.#reading === on || !this.#open) return;
    this.#reading = on;
    this.#watch();
  }

  /** Closes when everything was sent. */
  end(): void {
    this.#ending = true;
    if (this.#queued === 0) this.close();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queue = [];
    this.#queued = 0;
    this.#loop.unwatch(this.#fd);
    closeFd(this.#fd);
    this.handler?.closed();
  }

  #ready(ready: number): void {
    if (ready & READY.out) this.#flush();
    if (this.#open && ready & (READY.in | READY.hangup | READY.error)) this.#receive();
  }

  #receive(): void {
    const buffer = (received ??= Buffer.allocUnsafe(CHUNK));
    try {
      const count = readSome(this.#fd, buffer);
      if (count === WOULD_BLOCK) return;
      if (count === 0) this.close();
      else this.#frames.push(buffer.subarray(0, count), (kind, payload) => this.handler?.frame(kind, payload));
    } catch {
      // A peer that resets the connection, or speaks nonsense, is gone.
      this.close();
    }
  }

  #flush(): void {
    const before = this.#queued;
    try {
      for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
        const sent = sendSome(this.#fd, first);
        if (sent === WOULD_BLOCK) break;
        this.#queued -= sent;
        if (sent === first.length) this.#queue.shift();
        else this.#queue[0] = first.subarray(sent);
      }
    } catch {
      this.close();
      return;
    }
    this.#watch();
    if (this.#ending && this.#queued === 0) this.close();
    else if (this.#queued < before) this.handler?.drained();
  }

  #watch(): void {
    const wanted = (this.#reading ? READY.in : 0) | (this.#queued > 0 ? READY.out : 0);
    this.#loop.change(this.#fd, wanted);
  }
}

export function acceptAll(listener: number, onConnection: (fd: number) => void): void {
  for (;;) {
    const fd = acceptConnection(listener);
    if (fd === WOULD_BLOCK) return;
    onConnection(fd);
  }
}
