import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { flock } from "@slipway/sys";
import type { Storage } from "./contents.ts";
import { FileContents } from "./file-contents.ts";
import { FileRecords } from "./file-records.ts";

/** How long the kernel may take to close the files of a server that has been killed, in milliseconds. */
const LOCK_PATIENCE_MS = 3000;
const LOCK_STEP_MS = 20;

/**
 * A registry in a folder: records in `records.db`, blobs in `blobs`, uploads in `uploads`. Uploads are kept in order by the
 * one process that serves (`exclusive`); collections and changes of users may go on beside it. Throws `conflict`.
 */
export async function openFileStorage(root: string, { exclusive = false } = {}): Promise<Storage> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const lock = exclusive ? await acquire(join(root, "serve.lock"), root) : undefined;
  const contents = await FileContents.open(root);
  const records = await FileRecords.open(join(root, "records.db"));
  const close = async () => {
    await records.close();
    if (lock !== undefined) closeSync(lock);
  };
  return { contents, records, hasFiles: true, close };
}

/** The kernel lets go of the lock however the process ends. */
async function acquire(path: string, root: string): Promise<number> {
  const fd = openSync(path, "a", 0o600);
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  while (!flock(fd)) {
    if (Date.now() > deadline) {
      closeSync(fd);
      throw new SlipwayError("conflict", `another registry serves ${root}`, {
        hint: "Stop it first. Several replicas serve one registry over a bucket: --storage s3://...",
      });
    }
    await Bun.sleep(LOCK_STEP_MS);
  }
  return fd;
}
