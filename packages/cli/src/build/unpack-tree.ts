import { mkdirSync } from "node:fs";
import { ExitError } from "../errors.ts";

/**
 * Unpacks the files of a build below `destination`. The tar is what an image holds, and so hostile: every path is resolved
 * by the kernel inside the folder, links that lead out of it lead nowhere, devices are left out.
 */
export async function unpackTree(response: Response, destination: string): Promise<void> {
  if (response.body === null) return;
  const { readTar } = await import("@slipway/tar");
  const { TreeWriter } = await import("./tree-writer.ts");
  mkdirSync(destination, { recursive: true });
  const writer = new TreeWriter(destination);
  try {
    for await (const { header, content } of readTar(response.body)) await writer.add(header, content);
    writer.finish();
  } catch (error) {
    throw error instanceof ExitError
      ? error
      : new ExitError(1, `cannot write the output to ${destination}: ${(error as Error).message}`);
  } finally {
    writer.close();
  }
}
