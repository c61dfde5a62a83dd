import { ExitError } from "../errors.ts";
import type { Output } from "../io.ts";

/** Writes a response to a file, or to `output` when the path is empty or a dash. A file appears only when it is whole. */
export async function saveStream(response: Response, path: string, output: Output): Promise<void> {
  if (path === "" || path === "-") {
    await output.writeBody(response);
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
    await Bun.write(temporary, response);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new ExitError(1, `failed to write to '${path}': ${error instanceof Error ? error.message : String(error)}`);
  }
}
