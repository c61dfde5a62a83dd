import { ApiError } from "../errors.ts";

export type StreamName = "stdout" | "stderr";

export interface Frame {
  readonly stream: StreamName;
  readonly data: Uint8Array;
}

const HEADER = 8;

/** Takes Docker's multiplexed stream apart: frames of `[stream, 0, 0, 0, length (4 bytes, big-endian)]` and data. */
export class FrameReader {
  #header = new Uint8Array(HEADER);
  #headerLength = 0;
  #left = 0;
  #stream: StreamName = "stdout";

  /** The pieces in `chunk`; a long frame comes as several pieces. */
  *push(chunk: Uint8Array): Iterable<Frame> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left === 0) {
        const part = chunk.subarray(at, at + HEADER - this.#headerLength);
        this.#header.set(part, this.#headerLength);
        this.#headerLength += part.length;
        at += part.length;
        if (this.#headerLength === HEADER) this.#startFrame();
        continue;
      }
      const data = chunk.subarray(at, at + this.#left);
      at += data.length;
      this.#left -= data.length;
      yield { stream: this.#stream, data };
    }
  }

  #startFrame(): void {
    const view = new DataView(this.#header.buffer);
    const kind = view.getUint8(0);
    if (kind > 3) throw new ApiError(502, `unrecognized stream: ${kind}`);
    this.#stream = kind === 2 || kind === 3 ? "stderr" : "stdout";
    this.#left = view.getUint32(4);
    this.#headerLength = 0;
  }
}
