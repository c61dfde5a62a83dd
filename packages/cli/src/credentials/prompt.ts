import { ExitError } from "../errors.ts";
import type { Io } from "../io.ts";

const INTERRUPT = "\x03";
const END = "\x04";

/** Asks questions on the terminal, one after the other. */
export class Prompt {
  readonly #io: Io;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = "";

  constructor(io: Io) {
    this.#io = io;
    this.#chunks = io.stdin.chunks()[Symbol.asyncIterator]();
  }

  async ask(question: string): Promise<string> {
    this.#io.stdout.write(question);
    await this.#io.stdout.flush();
    return (await this.#line()).trim();
  }

  /** The answer is not shown. */
  async askSecret(question: string): Promise<string> {
    this.#io.stdout.write(question);
    await this.#io.stdout.flush();
    const restore = await this.#io.stdin.raw();
    try {
      return await this.#line();
    } finally {
      restore();
      this.#io.stdout.write("\n");
      await this.#io.stdout.flush();
    }
  }

  async #line(): Promise<string> {
    let line = "";
    for (;;) {
      for (const [index, character] of [...this.#rest].entries()) {
        if (character === INTERRUPT || (character === END && line === "")) throw new ExitError(130);
        if (character === "\r" || character === "\n") {
          this.#rest = [...this.#rest].slice(index + 1).join("");
          return line;
        }
        line = character === "\x7f" || character === "\b" ? [...line].slice(0, -1).join("") : line + character;
      }
      this.#rest = "";
      const { done, value } = await this.#chunks.next();
      if (done) return line;
      this.#rest = new TextDecoder().decode(value);
    }
  }
}
