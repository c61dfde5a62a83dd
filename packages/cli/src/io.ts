/** Where a command reads and writes. The process's own streams are in `process-io.ts`; tests give their own. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  cwd(): string;
  /** Calls `listener` for each signal until the returned function is called. */
  onSignal(signal: NodeJS.Signals, listener: () => void): () => void;
}

export interface Output {
  /** Queues the bytes; the promise, if any, resolves when more may be written. */
  write(chunk: string | Uint8Array): Promise<void> | undefined;
  flush(): Promise<void>;
  /** All of a response, without bringing it into memory. */
  writeBody(response: Response): Promise<void>;
  isTerminal(): boolean;
  /** Of the terminal; 80 by 24 when it is none. */
  size(): TerminalSize;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface Input {
  isTerminal(): boolean;
  /** Every chunk until the end. May be asked for once. */
  chunks(): AsyncIterable<Uint8Array>;
  /**
   * Turns off echo, line editing and signals of the terminal, and what it does to output; the returned function turns
   * them on again.
   */
  raw(): Promise<() => void>;
}
