import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";

export interface AtomicFileOptions {
  /** Permission bits in octal; 0o644 unless given. */
  readonly mode?: number;
  /** Waits for the disk (the default). Without it a power cut may bring back the old content, never a half one. */
  readonly durable?: boolean;
}

/** Replaces a file whole: readers see the old bytes or the new ones, also after a crash. */
export function writeFileAtomic(path: string, content: string | Uint8Array, options: AtomicFileOptions = {}): void {
  const { mode = 0o644, durable = true } = options;
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  const fd = openSync(temporary, "wx", mode);
  try {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    if (durable) fsyncSync(fd);
    closeSync(fd);
    renameSync(temporary, path);
  } catch (error) {
    unlinkQuietly(temporary);
    throw error;
  }
  if (durable) fsyncDirectory(dirname(path));
}

/** Makes the names in a directory survive a power cut. */
export function fsyncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It may never have been made; the first failure is the one to report.
  }
}
