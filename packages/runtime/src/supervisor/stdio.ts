import { closeSync, constants, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { closeFd, setNonblocking, setWindowSize } from "@slipway/sys";
import type { LogWriter } from "../logs/log-writer.ts";
import type { Connection } from "./connection.ts";
import { FRAME } from "./frames.ts";
import { InputPipe } from "./input-pipe.ts";
import type { Loop } from "./loop.ts";
import { OutputPipe, type PipeScratch } from "./output-pipe.ts";

export type Stream = "stdout" | "stderr";

/**
 * Bytes an attached client may lag behind. Then the container's output waits for it, as with Docker: a slow reader of
 * `docker run` gets every byte, and what a client never reads does not fill our memory.
 */
const MOST_BEHIND = 1024 * 1024;
const RESUME_BELOW = MOST_BEHIND / 4;
/** Bytes of stdin that may wait for the container before a client is no longer read. */
const MOST_INPUT = 256 * 1024;

export interface StdioDescriptors {
  /** A terminal's master, or the ends of the FIFOs. */
  readonly terminal?: number;
  readonly stdout?: number;
  readonly stderr?: number;
  readonly stdin?: number;
}

/** What is known once there is a process. */
export interface StdioSession {
  /** Where unfinished lines are kept for a successor. */
  readonly directory: string;
  readonly log: LogWriter | undefined;
  readonly stdinOnce: boolean;
  readonly onStdinClosed: () => void;
}

/** One process' stdio between its descriptors, its log and the clients attached to it. */
export class Stdio {
  readonly #loop: Loop;
  readonly #scratch: PipeScratch;
  /** Called when the last client leaves before there is a process. */
  readonly #onDeserted: () => void;
  readonly #attached = new Map<Connection, { readonly stdin: boolean }>();
  readonly #partials = new Map<Stream, PartialFile>();
  /** What clients wrote before there was a process. */
  #early: (() => void)[] = [];
  #session: StdioSession | undefined;
  #outputs: OutputPipe[] = [];
  #input: InputPipe | undefined;
  #terminal: number | undefined;
  #finished = false;

  constructor(loop: Loop, scratch: PipeScratch, onDeserted: () => void) {
    this.#loop = loop;
    this.#scratch = scratch;
    this.#onDeserted = onDeserted;
  }

  /** Clients may be attached before there is anything to attach to. */
  attach(connection: Connection, stdin: boolean): void {
    if (this.#finished) {
      this.#dismiss(connection);
      return;
    }
    this.#attached.set(connection, { stdin });
    connection.handler = {
      frame: (kind, payload) => this.#fromClient(connection, kind, payload),
      drained: () => this.#balance(),
      closed: () => this.#left(connection),
    };
  }

  /** Begins to move bytes. */
  open(descriptors: StdioDescriptors, session: StdioSession): void {
    this.#session = session;
    if (descriptors.terminal !== undefined) {
      this.#terminal = descriptors.terminal;
      setNonblocking(descriptors.terminal);
      this.#output("stdout", descriptors.terminal, true);
    }
    if (descriptors.stdout !== undefined) this.#output("stdout", descriptors.stdout, false);
    if (descriptors.stderr !== undefined) this.#output("stderr", descriptors.stderr, false);
    const stdin = descriptors.stdin ?? descriptors.terminal;
    if (stdin !== undefined) {
      this.#input = new InputPipe(this.#loop, {
        fd: stdin,
        shared: descriptors.terminal !== undefined,
        onDrain: () => this.#balance(),
        onClosed: session.onStdinClosed,
      });
      for (const early of this.#early) early();
    }
    this.#early = [];
    this.#balance();
  }

  resize(rows: number, columns: number): void {
    if (this.#terminal !== undefined) setWindowSize(this.#terminal, rows, columns);
  }

  /** The process has ended: the last output is logged and queued, and each client gets the end behind it. */
  finish(): void {
    for (const output of this.#outputs) if (!output.ended) output.drain();
    this.#session?.log?.end();
    this.#session?.log?.close();
    for (const partial of this.#partials.values()) partial.remove();
    this.#finish();
  }

  /** There never was a process. */
  abandon(): void {
    this.#finish();
  }

  /** Gives the descriptors back. */
  close(): void {
    for (const output of this.#outputs) output.close();
    this.#outputs = [];
  }

  #finish(): void {
    this.#finished = true;
    this.#input?.close();
    for (const connection of [...this.#attached.keys()]) this.#dismiss(connection);
    this.#attached.clear();
    // Children that outlive the process may still write; they must neither be blocked nor killed by it.
    for (const output of this.#outputs) output.discard();
  }

  #dismiss(connection: Connection): void {
    connection.handler = undefined;
    connection.send(FRAME.end, NOTHING);
    connection.end();
  }

  #output(stream: Stream, fd: number, isTerminal: boolean): void {
    const { log, directory } = this.#session ?? NO_SESSION;
    const kind = stream === "stdout" ? FRAME.stdout : FRAME.stderr;
    const partial = log === undefined ? undefined : new PartialFile(join(directory, `partial.${stream}`));
    if (partial !== undefined) {
      log?.restorePartial(stream, partial.content);
      this.#partials.set(stream, partial);
    }
    const pipe = new OutputPipe(this.#loop, this.#scratch, {
      fd,
      isTerminal,
      sink: (chunk) => {
        if (log !== undefined) {
          log.write(stream, chunk);
          partial?.set(log.partial(stream));
        }
        for (const connection of this.#attached.keys()) connection.send(kind, chunk);
        if (this.#attached.size > 0) this.#balance();
      },
      onEnd: () => {},
    });
    this.#outputs.push(pipe);
    pipe.open();
  }

  #fromClient(connection: Connection, kind: number, payload: Buffer): void {
    if (this.#attached.get(connection)?.stdin !== true) return;
    if (kind === FRAME.stdin) this.#write(connection, payload);
    else if (kind === FRAME.stdinEnd) this.#clientEnded();
  }

  #write(connection: Connection, payload: Buffer): void {
    if (this.#input === undefined) {
      const copy = Buffer.from(payload);
      this.#early.push(() => this.#input?.write(copy));
      connection.setReading(false);
      return;
    }
    this.#input.write(payload);
    if (this.#input.queued > MOST_INPUT) connection.setReading(false);
  }

  #clientEnded(): void {
    if (this.#session === undefined) this.#early.push(() => this.#clientEnded());
    else if (this.#session.stdinOnce) this.#input?.end();
  }

  #left(connection: Connection): void {
    const attached = this.#attached.get(connection);
    this.#attached.delete(connection);
    if (attached?.stdin) this.#clientEnded();
    this.#balance();
    if (this.#session === undefined && !this.#finished && this.#attached.size === 0) this.#onDeserted();
  }

  /** Lets the slowest client and the container's own appetite decide what is read next. */
  #balance(): void {
    let furthest = 0;
    for (const connection of this.#attached.keys()) furthest = Math.max(furthest, connection.queued);
    if (furthest > MOST_BEHIND) for (const output of this.#outputs) output.setPaused(true);
    else if (furthest < RESUME_BELOW) for (const output of this.#outputs) output.setPaused(false);
    if (this.#input === undefined || this.#input.queued > MOST_INPUT / 4) return;
    for (const connection of this.#attached.keys()) connection.setReading(true);
  }
}

const NOTHING = Buffer.alloc(0);
const NO_SESSION = { log: undefined, directory: "" } as const;

/** An unfinished line on disk: it was taken out of the pipe and is not in the log yet. */
class PartialFile {
  readonly content: Buffer;
  readonly #path: string;
  #fd: number | undefined;
  #length: number;

  constructor(path: string) {
    this.#path = path;
    this.content = readOrEmpty(path);
    this.#length = this.content.length;
  }

  set(data: Buffer): void {
    if (data.length === 0 && this.#length === 0) return;
    this.#fd ??= openSync(this.#path, constants.O_WRONLY | constants.O_CREAT, 0o600);
    // One write that says its length makes the change whole.
    const record = Buffer.allocUnsafe(4 + data.length);
    record.writeUInt32LE(data.length, 0);
    record.set(data, 4);
    writeSync(this.#fd, record, 0, record.length, 0);
    this.#length = data.length;
  }

  remove(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    rmSync(this.#path, { force: true });
  }
}

function readOrEmpty(path: string): Buffer {
  try {
    const record = readFileSync(path);
    return record.length < 4 ? NOTHING : Buffer.from(record.subarray(4, 4 + record.readUInt32LE(0)));
  } catch {
    return NOTHING;
  }
}

/** Closes descriptors that never became stdio. */
export function closeDescriptors(descriptors: StdioDescriptors): void {
  for (const fd of Object.values(descriptors)) if (fd !== undefined) closeFd(fd);
}
