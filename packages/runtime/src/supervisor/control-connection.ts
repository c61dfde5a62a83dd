import { SlipwayError } from "@slipway/base";
import type { ExitRecord } from "../faces.ts";
import { type Answer, encodeJson, FrameReader, PROTOCOL_VERSION, type WireError } from "./frames.ts";

export interface SupervisorClosed {
  /** It said that it would. */
  readonly orderly: boolean;
}

export interface ControlHandlers {
  readonly onExit: (exit: ExitRecord) => void;
  readonly onClosed: (closed: SupervisorClosed) => void;
}

/** `refused`: it ended without having seen the request, which may be sent to another. `lost`: nobody knows. */
export type CallOutcome =
  | { readonly kind: "answer"; readonly result: unknown }
  | { readonly kind: "refused" }
  | { readonly kind: "lost" };

interface Waiting {
  readonly settle: (outcome: CallOutcome) => void;
  readonly fail: (error: SlipwayError) => void;
}

/** The daemon's connection for requests and exits. */
export class ControlConnection {
  readonly #handlers: ControlHandlers;
  readonly #frames = new FrameReader();
  readonly #waiting = new Map<number, Waiting>();
  readonly #greeted = Promise.withResolvers<boolean>();
  #socket: Bun.Socket<undefined> | undefined;
  #unsent: Buffer[] = [];
  #next = 1;
  #established = false;
  #closing = false;
  #open = true;

  private constructor(handlers: ControlHandlers) {
    this.#handlers = handlers;
  }

  /** Undefined when nobody listens there. */
  static async open(path: string, handlers: ControlHandlers): Promise<ControlConnection | undefined> {
    const connection = new ControlConnection(handlers);
    try {
      connection.#socket = await Bun.connect<undefined>({
        unix: path,
        socket: {
          data: (_socket, data) => connection.#receive(data),
          drain: () => connection.#flush(),
          close: () => connection.#ended(),
          error: () => connection.#ended(),
        },
      });
    } catch {
      return undefined;
    }
    connection.#send(encodeJson({ version: PROTOCOL_VERSION, role: "control" }));
    return (await connection.#greeted.promise) ? connection : undefined;
  }

  get open(): boolean {
    return this.#open;
  }

  call(method: string, params: unknown): Promise<CallOutcome> {
    if (!this.#open || this.#closing) return Promise.resolve({ kind: "refused" });
    const n = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<CallOutcome>();
    this.#waiting.set(n, { settle: resolve, fail: reject });
    this.#send(encodeJson({ n, method, params }));
    return promise;
  }

  close(): void {
    this.#closing = true;
    this.#socket?.end();
  }

  #receive(data: Uint8Array): void {
    try {
      this.#frames.push(data, (_kind, payload) => this.#answer(JSON.parse(payload.toString("utf8")) as Answer));
    } catch {
      this.#socket?.terminate();
    }
  }

  #answer(answer: Answer): void {
    if ("event" in answer) {
      if (answer.event === "closing") this.#closing = true;
      else this.#handlers.onExit(answer.exit as ExitRecord);
      return;
    }
    if (answer.n === 0) {
      if ("error" in answer) this.#greeted.reject(fromWire(answer.error));
      else {
        this.#established = true;
        this.#greeted.resolve(true);
      }
      return;
    }
    const waiting = this.#waiting.get(answer.n);
    this.#waiting.delete(answer.n);
    if ("error" in answer) waiting?.fail(fromWire(answer.error));
    else waiting?.settle({ kind: "answer", result: answer.result });
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
  }

  #ended(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#greeted.resolve(false);
    const kind = this.#closing ? "refused" : "lost";
    for (const waiting of this.#waiting.values()) waiting.settle({ kind });
    this.#waiting.clear();
    // One that never answered was never anybody's.
    if (this.#established) this.#handlers.onClosed({ orderly: this.#closing });
  }
}

export function fromWire(error: WireError): SlipwayError {
  const { hint, details } = error;
  return new SlipwayError(error.code, error.message, {
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
  });
}
