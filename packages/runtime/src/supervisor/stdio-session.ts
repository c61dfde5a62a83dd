import { SlipwayError } from "@slipway/base";
import type { StdioSession } from "../faces.ts";
import { fromWire } from "./control-connection.ts";
import { type Answer, encodeFrame, encodeJson, FRAME, FrameReader, PROTOCOL_VERSION } from "./frames.ts";

export interface AttachTarget {
  readonly id: string;
  readonly execId?: string;
  readonly stdin: boolean;
}

type Chunk = { readonly stream: "stdout" | "stderr"; readonly data: Uint8Array };

/** Bytes received and not yet consumed above which the socket is no longer read. */
const MOST_UNREAD = 256 * 1024;
/** A frame of stdin is at most this long. */
const LONGEST_WRITE = 64 * 1024;
const NOTHING = new Uint8Array(0);

/** Opens an attachment; resolves once the supervisor has it, so that whatever the process writes later is seen. */
export async function openStdioSession(socketPath: string, target: AttachTarget): Promise<StdioSession> {
  const session = new SocketSession();
  await session.connect(socketPath, target);
  return session;
}

class SocketSession implements StdioSession {
  readonly output: AsyncIterable<Chunk> = { [Symbol.asyncIterator]: () => this.#iterate() };
  readonly #frames = new FrameReader();
  readonly #greeted = Promise.withResolvers<void>();
  #socket: Bun.Socket<undefined> | undefined;
  #chunks: Chunk[] = [];
  #unread = 0;
  #paused = false;
  #ended = false;
  #wake: (() => void) | undefined;
  #unsent: Buffer[] = [];
  #whenSent: (() => void)[] = [];

  async connect(path: string, target: AttachTarget): Promise<void> {
    this.#socket = await Bun.connect<undefined>({
      unix: path,
      socket: {
        data: (_socket, data) => this.#receive(data),
        drain: () => this.#flush(),
        close: () => this.#close(),
        error: () => this.#close(),
      },
    });
    this.#send(encodeJson({ version: PROTOCOL_VERSION, role: "attach", ...target }));
    await this.#greeted.promise;
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#ended) return;
    for (let at = 0; at < data.length; at += LONGEST_WRITE) {
      this.#send(encodeFrame(FRAME.stdin, data.subarray(at, at + LONGEST_WRITE)));
    }
    if (this.#unsent.length > 0) await new Promise<void>((resolve) => this.#whenSent.push(resolve));
  }

  closeStdin(): void {
    if (!this.#ended) this.#send(encodeFrame(FRAME.stdinEnd, NOTHING));
  }

  detach(): void {
    this.#socket?.end();
    this.#close();
  }

  async *#iterate(): AsyncGenerator<Chunk> {
    try {
      for (;;) {
        const chunks = this.#chunks;
        this.#chunks = [];
        for (const chunk of chunks) {
          yield chunk;
          this.#consumed(chunk.data.length);
        }
        if (this.#chunks.length > 0) continue;
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.detach();
    }
  }

  #consumed(bytes: number): void {
    this.#unread -= bytes;
    if (this.#paused && this.#unread < MOST_UNREAD / 2) {
      this.#paused = false;
      this.#socket?.resume();
    }
  }

  #receive(data: Uint8Array): void {
    try {
      this.#frames.push(data, (kind, payload) => this.#frame(kind, payload));
    } catch {
      this.#socket?.terminate();
      return;
    }
    if (!this.#paused && this.#unread > MOST_UNREAD) {
      this.#paused = true;
      this.#socket?.pause();
    }
  }

  #frame(kind: number, payload: Buffer): void {
    if (kind === FRAME.json) this.#greet(JSON.parse(payload.toString("utf8")) as Answer);
    else if (kind === FRAME.end) this.#close();
    else if (kind === FRAME.stdout || kind === FRAME.stderr) {
      // A copy: the payload lies in the socket's buffer.
      this.#chunks.push({ stream: kind === FRAME.stdout ? "stdout" : "stderr", data: Uint8Array.from(payload) });
      this.#unread += payload.length;
      this.#awaken();
    }
  }

  #greet(answer: Answer): void {
    if ("error" in answer) this.#greeted.reject(fromWire(answer.error));
    else this.#greeted.resolve();
  }

  #send(frame: Buffer): void {
    this.#unsent.push(frame);
    if (this.#unsent.length === 1) this.#flush();
  }

  #flush(): void {
    for (let first = this.#unsent[0]; first !== undefined; first = this.#unsent[0]) {
      const written = this.#socket?.write(first) ?? 0;
      if (written < first.length) {
        this.#unsent[0] = first.subarray(Math.max(written, 0));
        return;
      }
      this.#unsent.shift();
    }
    for (const sent of this.#whenSent.splice(0)) sent();
  }

  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsent = [];
    this.#socket?.end();
    this.#greeted.promise.catch(() => {});
    this.#greeted.reject(new SlipwayError("unavailable", "the supervisor closed the connection"));
    for (const sent of this.#whenSent.splice(0)) sent();
    this.#awaken();
  }

  #awaken(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
