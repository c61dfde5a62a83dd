import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { errnoOf } from "@slipway/base";
import { closeFd, mkfifo, READY, readSome, splicePipe, teePipe, WOULD_BLOCK } from "@slipway/sys";
import type { Loop } from "./loop.ts";

const CHUNK = 64 * 1024;
/** Chunks taken from one pipe before the others get their turn. */
const TURNS = 8;
/** More than the largest pipe holds; an end all the same, should somebody go on writing. */
const DRAIN_TURNS = 64;

/** What all pipes of one supervisor share: a buffer, and a pipe of our own that takes the copies. */
export class PipeScratch {
  readonly buffer: Buffer = Buffer.allocUnsafe(CHUNK);
  readonly writeEnd: number;
  readonly readEnd: number;
  readonly nowhere: number;

  constructor(directory: string) {
    const path = `${directory}/scratch.${process.pid}`;
    mkfifo(path, 0o600);
    this.readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writeEnd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    unlinkSync(path);
    this.nowhere = openSync("/dev/null", "w");
  }
}

/** Where a process' output goes; the chunk is valid during the call only. */
export type OutputSink = (chunk: Buffer) => void;

/**
 * The reading end of a container's stdout, stderr or terminal.
 *
 * A chunk of a pipe is first copied (tee(2)), then handed on, which writes the log, and only then taken out: whenever this
 * process is killed, what is not in the log is still in the pipe. A terminal can't be copied; what was read from it in the
 * very moment is lost.
 */
export class OutputPipe {
  readonly fd: number;
  readonly #loop: Loop;
  readonly #scratch: PipeScratch;
  readonly #isTerminal: boolean;
  readonly #onEnd: () => void;
  #sink: OutputSink;
  #paused = false;
  #ended = false;

  constructor(
    loop: Loop,
    scratch: PipeScratch,
    options: {
      readonly fd: number;
      readonly isTerminal: boolean;
      readonly sink: OutputSink;
      readonly onEnd: () => void;
    },
  ) {
    this.#loop = loop;
    this.#scratch = scratch;
    this.fd = options.fd;
    this.#isTerminal = options.isTerminal;
    this.#sink = options.sink;
    this.#onEnd = options.onEnd;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Begins to read. */
  open(): void {
    this.#loop.watch(this.fd, READY.in, () => this.#pump(TURNS));
  }

  setPaused(on: boolean): void {
    if (this.#paused === on || this.#ended) return;
    this.#paused = on;
    this.#loop.change(this.fd, on ? 0 : READY.in);
  }

  /** Takes out all that is there now, also while paused. */
  drain(): void {
    this.#pump(DRAIN_TURNS, true);
  }

  /** From now on output goes nowhere, and the writers are never blocked. */
  discard(): void {
    this.#sink = () => {};
    if (!this.#ended) this.setPaused(false);
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#loop.unwatch(this.fd);
    closeFd(this.fd);
  }

  #pump(turns: number, evenPaused = false): void {
    for (let turn = 0; turn < turns && !this.#ended; turn++) {
      const count = this.#isTerminal ? this.#readTerminal() : this.#copyPipe();
      if (count === WOULD_BLOCK) return;
      if (count === 0) {
        this.close();
        this.#onEnd();
        return;
      }
      // Back-pressure may have set in with this chunk.
      if (this.#paused && !evenPaused) return;
    }
  }

  #readTerminal(): number {
    const { buffer } = this.#scratch;
    try {
      const count = readSome(this.fd, buffer);
      if (count > 0) this.#sink(buffer.subarray(0, count));
      return count;
    } catch (error) {
      // EIO: no process has the terminal open any more.
      if (errnoOf(error) === "EIO") return 0;
      throw error;
    }
  }

  #copyPipe(): number {
    const { buffer, readEnd, writeEnd } = this.#scratch;
    const copied = teePipe(this.fd, writeEnd, CHUNK);
    if (copied <= 0) return copied;
    const count = readSome(readEnd, buffer);
    this.#sink(buffer.subarray(0, count));
    for (let taken = 0; taken < count; ) {
      const moved = splicePipe(this.fd, this.#scratch.nowhere, count - taken);
      if (moved <= 0) break;
      taken += moved;
    }
    return count;
  }
}

/** A FIFO as a container gets it: `ours` reads without blocking, `theirs` is open for both, so nobody's death ends it. */
export function makeOutputFifo(path: string): { readonly ours: number; readonly theirs: number } {
  mkfifo(path, 0o600);
  const ours = openOutputFifo(path);
  try {
    return { ours, theirs: openSync(path, constants.O_RDWR) };
  } catch (error) {
    closeSync(ours);
    throw error;
  }
}

export function openOutputFifo(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/** The other way round: the container reads, and only we hold the writing end, so that we can end it. */
export function makeInputFifo(path: string): { readonly ours: number; readonly theirs: number } {
  mkfifo(path, 0o600);
  // Opened in the order that never waits: reader without blocking, writer, then the reader that may block.
  const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const ours = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    return { ours, theirs: openSync(path, constants.O_RDONLY) };
  } finally {
    closeSync(first);
  }
}
