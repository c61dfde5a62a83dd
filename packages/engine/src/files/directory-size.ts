import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "@slipway/base";

/**
 * Bytes of the files below a directory, each hard-linked file once. Whoever writes there meanwhile does not disturb it; a
 * directory that does not exist has none.
 */
export async function directorySize(root: string): Promise<number> {
  const seen = new Set<string>();
  const pending = [root];
  let bytes = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of await entries(directory)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) pending.push(path);
      if (!entry.isFile() && !entry.isSymbolicLink()) continue;
      const stat = await lstat(path).catch(vanished);
      if (stat === undefined) continue;
      const inode = `${stat.dev}:${stat.ino}`;
      if (stat.nlink > 1 && seen.has(inode)) continue;
      if (stat.nlink > 1) seen.add(inode);
      bytes += stat.size;
    }
  }
  return bytes;
}

async function entries(directory: string) {
  return (await readdir(directory, { withFileTypes: true }).catch(vanished)) ?? [];
}

function vanished(error: unknown): undefined {
  if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
  throw error;
}
