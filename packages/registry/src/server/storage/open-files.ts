import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Storage } from "./contents.ts";
import { FileContents } from "./file-contents.ts";
import { FileRecords } from "./file-records.ts";

/** A registry in a folder: records in `records.db`, blobs in `blobs`, uploads in `uploads`. One process at a time. */
export async function openFileStorage(root: string): Promise<Storage> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const contents = await FileContents.open(root);
  const records = await FileRecords.open(join(root, "records.db"));
  return { contents, records, hasFiles: true, close: () => records.close() };
}
