import { SlipwayError } from "@slipway/base";

/** What a client's frames say. Data comes as it arrives, so no message is ever held whole. */
export type FrameEvent =
  | { readonly kind: "data"; readonly data: Uint8Array }
  | { readonly kind: "ping"; readonly payload: Uint8Array }
  | { readonly kind: "close"; readonly code: number };

/** Close codes of RFC 6455, section 7.4.1. */
export const NORMAL_CLOSURE = 1000;
export const PROTOCOL_ERROR = 1002;
const INVALID_PAYLOAD = 1007;

const CONTINUATION = 0x0;
const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
/** The longest head of a client's frame: two bytes, eight of length, four of mask. */
const LONGEST_HEAD = 14;

interface Frame {
  readonly opcode: number;
  readonly final: boolean;
  readonly mask: Uint8Array;
  readonly length: number;
  /** Payload bytes that have come. */
  taken: number;
}

/** A failure that carries the close code for the peer. */
export class FrameError extends SlipwayError {
  readonly closeCode: number;

  constructor(closeCode: number, why: string) {
    super("invalid", `bad websocket frame: ${why}`);
    this.closeCode = closeCode;
  }
}

/**
 * Reads what a client sends after the handshake (RFC 6455, section 5). Bounded whatever it claims: at most a frame's head and one
 * control payload of 125 bytes are kept. Throws `FrameError` for what the protocol forbids; it must not be used after that.
 */
export class FrameParser {
  #head = Buffer.alloc(LONGEST_HEAD);
  #headBytes = 0;
  #frame: Frame | undefined;
  #control = Buffer.alloc(0);
  /** The opcode of a message whose last fragment has not come. */
  #message: number | undefined;
  #text: TextDecoder | undefined;

  *push(chunk: Uint8Array): Generator<FrameEvent> {
    let at = 0;
    while (at < chunk.length || this.#isEmptyFrame()) {
      if (this.#frame === undefined) {
        this.#head[this.#headBytes++] = chunk[at++] ?? 0;
        this.#frame = this.#readHead();
        continue;
      }
      const frame = this.#frame;
      const part = unmask(chunk.subarray(at, at + frame.length - frame.taken), frame);
      at += part.length;
      frame.taken += part.length;
      const isLast = frame.taken === frame.length;
      if (frame.opcode >= CLOSE) {
        this.#control = Buffer.concat([this.#control, part]);
        if (isLast) yield* this.#endControl(frame.opcode);
      } else {
        this.#checkText(part, isLast && frame.final);
        if (part.length > 0) yield { kind: "data", data: part };
      }
      if (isLast) this.#endFrame(frame);
    }
  }

  #isEmptyFrame(): boolean {
    return this.#frame !== undefined && this.#frame.length === 0;
  }

  /** The frame, once its head is complete. */
  #readHead(): Frame | undefined {
    const head = this.#head;
    if (this.#headBytes < 2) return undefined;
    const first = head.readUInt8(0);
    const second = head.readUInt8(1);
    if ((second & 0x80) === 0) throw new FrameError(PROTOCOL_ERROR, "a client's frames must be masked");
    const short = second & 0x7f;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    const opcode = first & 0x0f;
    if (this.#headBytes === 2) this.#checkHead(first, opcode, short);
    if (this.#headBytes < 2 + extended + 4) return undefined;
    const length = extended === 0 ? short : extended === 2 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
    if (!Number.isSafeInteger(length)) throw new FrameError(PROTOCOL_ERROR, "the length is beyond all measure");
    const mask = Uint8Array.from(head.subarray(2 + extended, 6 + extended));
    this.#headBytes = 0;
    return { opcode, final: (first & 0x80) !== 0, mask, length, taken: 0 };
  }

  #checkHead(first: number, opcode: number, short: number): void {
    const fail = (why: string): never => {
      throw new FrameError(PROTOCOL_ERROR, why);
    };
    if ((first & 0x70) !== 0) fail("no extension was agreed on");
    if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) fail(`unknown opcode ${opcode}`);
    if (opcode >= CLOSE) {
      if ((first & 0x80) === 0) fail("control frames cannot be fragmented");
      if (short > 125) fail("control frames hold at most 125 bytes");
      return;
    }
    if (opcode === CONTINUATION && this.#message === undefined) fail("a continuation without a message");
    if (opcode !== CONTINUATION && this.#message !== undefined) fail("a new message within another");
    if (opcode !== CONTINUATION) {
      this.#message = opcode;
      if (opcode === TEXT) this.#text ??= new TextDecoder("utf-8", { fatal: true });
    }
  }

  #checkText(part: Uint8Array, isLast: boolean): void {
    if (this.#message !== TEXT) return;
    try {
      this.#text?.decode(part, { stream: !isLast });
    } catch {
      throw new FrameError(INVALID_PAYLOAD, "text that is not UTF-8");
    }
  }

  *#endControl(opcode: number): Generator<FrameEvent> {
    const payload = this.#control;
    this.#control = Buffer.alloc(0);
    if (opcode === PING) yield { kind: "ping", payload };
    if (opcode === CLOSE) yield { kind: "close", code: closeCode(payload) };
  }

  #endFrame(frame: Frame): void {
    this.#frame = undefined;
    if (frame.opcode < CLOSE && frame.final) this.#message = undefined;
  }
}

function unmask(data: Uint8Array, { mask, taken }: Frame): Uint8Array {
  const plain = Buffer.allocUnsafe(data.length);
  for (let index = 0; index < data.length; index++) {
    plain[index] = (data[index] ?? 0) ^ (mask[(taken + index) & 3] ?? 0);
  }
  return plain;
}

/** The code to answer a close frame with (RFC 6455, sections 5.5.1 and 7.4). */
function closeCode(payload: Buffer): number {
  if (payload.length === 0) return NORMAL_CLOSURE;
  if (payload.length === 1) throw new FrameError(PROTOCOL_ERROR, "half a close code");
  const code = payload.readUInt16BE(0);
  const isKnown =
    (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
  if (!isKnown) throw new FrameError(PROTOCOL_ERROR, `close code ${code}`);
  return code;
}

/** A whole frame of the server's, which is never masked. */
export function encodeFrame(kind: "text" | "binary" | "pong" | "close", payload: Uint8Array): Uint8Array {
  const opcode = { text: TEXT, binary: BINARY, pong: PONG, close: CLOSE }[kind];
  const { length } = payload;
  const extended = length < 126 ? 0 : length <= 0xffff ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extended + length);
  frame.writeUInt8(0x80 | opcode, 0);
  frame.writeUInt8(extended === 0 ? length : extended === 2 ? 126 : 127, 1);
  if (extended === 2) frame.writeUInt16BE(length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  frame.set(payload, 2 + extended);
  return frame;
}

export function encodeClose(code: number): Uint8Array {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return encodeFrame("close", payload);
}
