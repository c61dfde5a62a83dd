import type { Input, Io, Output, TerminalSize } from "./io.ts";

/**
 * The process's own streams. `node:tty`, `node:fs` and `process.stdout` cost one to seven milliseconds to load, which is
 * more than most commands take: nothing here touches them before it must.
 */
export function processIo(): Io {
  return {
    stdout: new FileOutput(1, Bun.stdout),
    stderr: new FileOutput(2, Bun.stderr),
    stdin: new ProcessInput(),
    env: process.env,
    cwd: () => process.cwd(),
    onSignal(signal, listener) {
      process.on(signal, listener);
      return () => process.off(signal, listener);
    },
  };
}

let isTerminalOf: ((fd: number) => boolean) | undefined;

/** Asks the C library: `node:tty` takes eight milliseconds to load, twice as long as most commands. */
function isTerminal(fd: number): boolean {
  isTerminalOf ??= loadIsTerminal();
  return isTerminalOf(fd);
}

function loadIsTerminal(): (fd: number) => boolean {
  try {
    const { dlopen } = process.getBuiltinModule("bun:ffi") as typeof import("bun:ffi");
    const { isatty } = dlopen("libc.so.6", { isatty: { args: ["int"], returns: "int" } }).symbols;
    return (fd) => isatty(fd) === 1;
  } catch {
    // Another C library.
    return (fd) => process.getBuiltinModule("node:tty").isatty(fd);
  }
}

/** Above this the writer is asked to wait. */
const HIGH_WATER = 256 * 1024;

class FileOutput implements Output {
  readonly #fd: number;
  readonly #file: Bun.BunFile;
  #queue: (string | Uint8Array)[] = [];
  #queued = 0;
  #writing: Promise<void> | undefined;

  constructor(fd: number, file: Bun.BunFile) {
    this.#fd = fd;
    this.#file = file;
  }

  write(chunk: string | Uint8Array): Promise<void> | undefined {
    if (chunk.length === 0) return undefined;
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    return this.#queued > HIGH_WATER ? this.flush() : undefined;
  }

  flush(): Promise<void> {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async writeBody(response: Response): Promise<void> {
    await this.flush();
    await Bun.write(this.#file, response);
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const chunks = this.#queue;
      this.#queue = [];
      this.#queued = 0;
      const whole = chunks.every((chunk) => typeof chunk === "string")
        ? chunks.join("")
        : Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)));
      await Bun.write(this.#file, whole);
    }
  }

  isTerminal(): boolean {
    return isTerminal(this.#fd);
  }

  size(): TerminalSize {
    const stream = this.#fd === 1 ? process.stdout : process.stderr;
    const [columns, rows] = stream.isTTY ? stream.getWindowSize() : [80, 24];
    return { rows, columns };
  }
}

class ProcessInput implements Input {
  isTerminal(): boolean {
    return isTerminal(0);
  }

  chunks(): AsyncIterable<Uint8Array> {
    return this.isTerminal() ? process.stdin : Bun.stdin.stream();
  }

  async raw(): Promise<() => void> {
    const { setOutputProcessing } = await import("@slipway/sys");
    process.stdin.setRawMode(true);
    // The runtime's raw mode leaves that on; turning raw mode off brings it back.
    setOutputProcessing(0, false);
    const restore = () => void process.stdin.setRawMode(false);
    // However we end, the terminal is the user's again.
    const hangUp = () => {
      if (process.listenerCount("SIGHUP") === 1) process.exit(129);
    };
    process.on("exit", restore);
    process.on("SIGHUP", hangUp);
    return () => {
      process.off("exit", restore);
      process.off("SIGHUP", hangUp);
      restore();
      process.stdin.pause();
    };
  }
}
