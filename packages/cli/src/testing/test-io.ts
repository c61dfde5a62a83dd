import type { Input, Io, Output } from "../io.ts";

class Recorded implements Output {
  readonly #chunks: Uint8Array[] = [];
  readonly #terminal: boolean;

  constructor(terminal: boolean) {
    this.#terminal = terminal;
  }

  write(chunk: string | Uint8Array): undefined {
    this.#chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : new Uint8Array(chunk));
  }

  async flush(): Promise<void> {}

  async writeBody(response: Response): Promise<void> {
    this.write(await response.bytes());
  }

  isTerminal(): boolean {
    return this.#terminal;
  }

  size(): { rows: number; columns: number } {
    return { rows: 24, columns: 80 };
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }
}

export interface TestIoOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly terminal?: boolean;
  readonly cwd?: string;
}

/** Streams of a test: everything written is kept, signals are sent by hand. */
export class TestIo implements Io {
  readonly stdout: Recorded;
  readonly stderr: Recorded;
  readonly stdin: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly #cwd: string;
  readonly #listeners = new Map<string, Set<() => void>>();

  constructor({ stdin = "", env = {}, terminal = false, cwd = "/" }: TestIoOptions = {}) {
    this.stdout = new Recorded(terminal);
    this.stderr = new Recorded(terminal);
    this.env = env;
    this.#cwd = cwd;
    this.stdin = {
      isTerminal: () => terminal,
      raw: async () => () => {},
      async *chunks() {
        if (stdin !== "") yield Buffer.from(stdin);
      },
    };
  }

  cwd(): string {
    return this.#cwd;
  }

  onSignal(signal: NodeJS.Signals, listener: () => void): () => void {
    const listeners = this.#listeners.get(signal) ?? new Set();
    this.#listeners.set(signal, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  signal(signal: NodeJS.Signals): void {
    for (const listener of this.#listeners.get(signal) ?? []) listener();
  }
}
