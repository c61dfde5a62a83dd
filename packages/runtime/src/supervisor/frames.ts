/**
 * The wire between daemon and supervisor: frames of a length (32 bits, little-endian, of what follows the kind), a kind
 * (8 bits) and a payload, in both directions of a unix socket. The first frame of a connection is a `Hello`; a control
 * connection then carries JSON messages, an attachment one process' stdio. An attachment has a connection of its own, so
 * that the socket's own back-pressure is that of the one stream.
 */
import type { ErrorCode } from "@slipway/base";

export const PROTOCOL_VERSION = 1;

export const FRAME = {
  json: 1,
  stdout: 2,
  stderr: 3,
  stdin: 4,
  /** The client will write no more. */
  stdinEnd: 5,
  /** Everything was delivered. */
  end: 6,
} as const;

const HEADER = 5;
/** A larger frame is an error of the peer. */
export const MAX_FRAME = 4 * 1024 * 1024;

export type Hello =
  | { readonly version: number; readonly role: "control" }
  | {
      readonly version: number;
      readonly role: "attach";
      readonly id: string;
      readonly execId?: string;
      readonly stdin: boolean;
    };

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface Request {
  readonly n: number;
  readonly method: string;
  readonly params: unknown;
}

export type Answer =
  | { readonly n: number; readonly result: unknown }
  | { readonly n: number; readonly error: WireError }
  | { readonly event: "exit"; readonly exit: unknown }
  | { readonly event: "closing" };

export function encodeFrame(kind: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER + payload.length);
  frame.writeUInt32LE(payload.length, 0);
  frame.writeUInt8(kind, 4);
  frame.set(payload, HEADER);
  return frame;
}

export function encodeJson(value: unknown): Buffer {
  return encodeFrame(FRAME.json, Buffer.from(JSON.stringify(value)));
}

/** Cuts a stream of bytes into frames. A payload is a view that is valid during the callback only. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws on a frame longer than `MAX_FRAME`: the stream cannot be trusted from there on. */
  push(data: Uint8Array, onFrame: (kind: number, payload: Buffer) => void): void {
    const arrived = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    let bytes = this.#rest.length === 0 ? arrived : Buffer.concat([this.#rest, arrived]);
    while (bytes.length >= HEADER) {
      const length = bytes.readUInt32LE(0);
      if (length > MAX_FRAME) throw new Error(`a frame of ${length} bytes is too long`);
      if (bytes.length < HEADER + length) break;
      onFrame(bytes.readUInt8(4), bytes.subarray(HEADER, HEADER + length));
      bytes = bytes.subarray(HEADER + length);
    }
    // A copy: the caller reuses its buffer.
    this.#rest = bytes.length === 0 ? EMPTY : Buffer.from(bytes);
  }
}

const EMPTY = Buffer.alloc(0);
