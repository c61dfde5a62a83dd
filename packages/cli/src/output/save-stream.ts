import { ExitError } from "../errors.ts";
import type { Output } from "../io.ts";

/** Writes a response to a file, or to `output` when the path is empty. A file appears only when it is whole. */
export async function saveStream(response: Response, path: string, output: Output): Promise<void> {
  if (response.body === null) return;
  if (path === "" || path === "-") {
    for await (const chunk of response.body) {
      output.write(chunk);
      await output.flush();
    }
    return;
  }
  const { open, rename, rm, stat } = await import("node:fs/promises");
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory()) throw new ExitError(1, `failed to write to '${path}': it is a directory`);
  // A device or a pipe is written as it is: it cannot be replaced.
  const special = existing !== undefined && !existing.isFile();
  const temporary = special ? path : `${path}.${process.pid}.part`;
  const file = await open(temporary, special ? "w" : "wx", 0o600).catch((error: Error) => {
    throw new ExitError(1, `failed to write to '${path}': ${error.message}`);
  });
  try {
    for await (const chunk of response.body) await writeAll(file, chunk);
    await file.close();
    if (!special) await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    if (!special) await rm(temporary, { force: true });
    throw error;
  }
}

async function writeAll(
  file: { write(chunk: Uint8Array, offset: number): Promise<{ bytesWritten: number }> },
  chunk: Uint8Array,
) {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
}
