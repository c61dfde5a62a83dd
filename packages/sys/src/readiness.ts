import { ptr } from "bun:ffi";
import { closeFd } from "./file.ts";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { check, EINTR } from "./system-error.ts";

const EPOLL_CLOEXEC = 0o2000000;
const CTL = { add: 1, delete: 2, modify: 3 } as const;

/** Bits of epoll_ctl(2). */
export const READY = { in: 0x1, out: 0x4, error: 0x8, hangup: 0x10, readHangup: 0x2000 } as const;

const MOST = 64;
/** struct epoll_event is packed on x86-64 alone. */
const SIZE = process.arch === "x64" ? 12 : 16;
const DATA = process.arch === "x64" ? 4 : 8;

/**
 * Level-triggered waiting for many descriptors by the calling thread itself, for a process that has an event loop of its
 * own: unlike the runtime's, it says that a descriptor is readable without reading it.
 */
export class Epoll implements Disposable {
  readonly #fd: number;
  readonly #events = Buffer.alloc(SIZE * MOST);
  readonly #view = new DataView(this.#events.buffer, this.#events.byteOffset, this.#events.length);

  constructor() {
    const { nr, call } = kernel();
    this.#fd = check(call(nr.epoll_create1, EPOLL_CLOEXEC), "epoll_create1");
  }

  add(fd: number, interest: number): void {
    this.#control(CTL.add, fd, interest);
  }

  modify(fd: number, interest: number): void {
    this.#control(CTL.modify, fd, interest);
  }

  delete(fd: number): void {
    this.#control(CTL.delete, fd, 0);
  }

  /** Waits at most `milliseconds` (-1: for ever) and calls back for each descriptor that is ready. */
  wait(milliseconds: number, onReady: (fd: number, ready: number) => void): void {
    const { nr, call } = kernel();
    const count = call(nr.epoll_pwait, this.#fd, Number(ptr(this.#events)), MOST, milliseconds, 0, 8);
    if (count === -EINTR) return;
    check(count, "epoll_pwait");
    // Copied out first: a callback may wait again.
    const ready: number[] = [];
    for (let i = 0; i < count; i++) {
      ready.push(this.#view.getInt32(i * SIZE + DATA, true), this.#view.getUint32(i * SIZE, true));
    }
    for (let i = 0; i < ready.length; i += 2) onReady(ready[i] ?? -1, ready[i + 1] ?? 0);
  }

  #control(operation: number, fd: number, interest: number): void {
    const { nr, call } = kernel();
    const memory = scratch();
    const at = memory.zeroed(16);
    memory.view.setUint32(at, interest, true);
    memory.view.setInt32(at + DATA, fd, true);
    check(call(nr.epoll_ctl, this.#fd, operation, fd, memory.address(at)), "epoll_ctl", `fd ${fd}`);
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }
}
