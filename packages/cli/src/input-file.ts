import { ExitError } from "./errors.ts";
import type { Io } from "./io.ts";

/** A file of the command line as a request's body. Throws `ExitError` when it cannot be read. */
export async function inputFile(path: string): Promise<ReadableStream<Uint8Array>> {
  const { stat } = await import("node:fs/promises");
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new ExitError(1, `open ${path}: ${error.code === "ENOENT" ? "no such file or directory" : error.message}`);
  });
  if (info.isDirectory()) throw new ExitError(1, `${path} is a directory, not an archive`);
  return Bun.file(path).stream();
}

export interface InputSource {
  readonly stream: ReadableStream<Uint8Array>;
  /** Bytes; undefined when that is not known before the end. */
  readonly size?: number;
}

/** A file of the command line, or stdin for a dash. Throws `ExitError` when it cannot be read. */
export async function inputOf(path: string, io: Io): Promise<InputSource> {
  if (path === "-") return { stream: asStream(io.stdin.chunks()) };
  return { stream: await inputFile(path), size: Bun.file(path).size };
}

/** Chunks as a request's body, read as fast as they are sent. */
export function asStream(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
