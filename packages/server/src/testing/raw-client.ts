import { connect, type Socket } from "node:net";

/** A client that sees every byte and can half-close, which HTTP clients hide. */
export class RawClient {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", end);
  }

  static open(path: string): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path, allowHalfOpen: true });
      socket.once("connect", () => resolve(new RawClient(socket)));
      socket.once("error", reject);
    });
  }

  send(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  halfClose(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Everything up to and with `mark`, taken out of what was received. */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#received.indexOf(mark);
      if (at >= 0) {
        const end = at + mark.length;
        const text = this.#received.toString("latin1", 0, end);
        this.#received = this.#received.subarray(end);
        return text;
      }
      if (this.#ended) throw new Error(`the connection ended before '${mark}': ${this.#received.toString("latin1")}`);
      await this.#more();
    }
  }

  /** What is left until the server closes its side. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) await this.#more();
    return this.#received;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
