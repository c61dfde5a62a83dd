import { ExitError } from "../errors.ts";
import type { Io } from "../io.ts";
import { Meter } from "./meter.ts";

export interface SaveOptions {
  /** Empty or a dash: stdout. */
  readonly path: string;
  readonly io: Io;
  readonly doing: string;
  /** About how many bytes will come. */
  readonly total?: number | undefined;
}

/** Writes a response to a file or to stdout. A file appears only when it is whole. */
export async function saveStream(response: Response, { path, io, doing, total }: SaveOptions): Promise<void> {
  if (path === "" || path === "-") {
    await io.stdout.writeBody(response);
    return;
  }
  const { open, rename, rm, stat } = await import("node:fs/promises");
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory()) throw new ExitError(1, `failed to write to '${path}': it is a directory`);
  // A device or a pipe is written as it is: it cannot be replaced.
  if (existing !== undefined && !existing.isFile()) {
    await Bun.write(path, response);
    return;
  }
  const temporary = `${path}.${process.pid}.part`;
  try {
    await (await open(temporary, "wx", 0o600)).close();
    // The bytes go by the shortest way; how many there are is read from the file.
    using _meter = new Meter(io, { doing, total, current: () => Bun.file(temporary).size });
    await Bun.write(temporary, response);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new ExitError(1, `failed to write to '${path}': ${error instanceof Error ? error.message : String(error)}`);
  }
}
