import { readFileSync } from "node:fs";
import { writeFileAtomic } from "@slipway/base";
import type { ContextEntry } from "./context-snapshot.ts";

interface KnownFile {
  readonly size: number;
  readonly ino: number;
  readonly mtime: string;
  readonly ctime: string;
  readonly digest: string;
}

/** A change within the clock's grain of the reading would leave no trace in the times: such a digest is not kept. */
const GRAIN_MS = 50;
const FORMAT = "slipway-stat-cache 1";

/**
 * The digests of files by what the kernel says about them (size, times, inode), so that an unchanged file is not read
 * again, also by the next daemon. Losing it costs time, nothing else.
 */
export class StatCache {
  readonly #file: string;
  #known: Map<string, KnownFile> | undefined;
  #changed = false;

  constructor(file: string) {
    this.#file = file;
  }

  find(entry: ContextEntry): string | undefined {
    const known = this.#load().get(entry.path);
    if (known === undefined || known.size !== entry.size || known.ino !== entry.ino) return undefined;
    return known.ctime === ctimeOf(entry) && known.mtime === mtimeOf(entry) ? known.digest : undefined;
  }

  /** `readAt`: when the reading began, milliseconds. False when the file is too young to be sure of. */
  remember(entry: ContextEntry, digest: string, readAt: number): boolean {
    if (entry.ctimeSeconds * 1000 + entry.ctimeNanoseconds / 1e6 > readAt - GRAIN_MS) {
      this.#load().delete(entry.path);
      return false;
    }
    this.#changed = true;
    const { size, ino } = entry;
    this.#load().set(entry.path, { size, ino, mtime: mtimeOf(entry), ctime: ctimeOf(entry), digest });
    return true;
  }

  async save(): Promise<void> {
    if (!this.#changed || this.#known === undefined) return;
    this.#changed = false;
    const lines = [FORMAT];
    for (const [path, { size, ino, mtime, ctime, digest }] of this.#known) {
      lines.push(`${digest} ${size} ${ino} ${mtime} ${ctime} ${path}`);
    }
    writeFileAtomic(this.#file, lines.join("\0"), { durable: false });
  }

  #load(): Map<string, KnownFile> {
    this.#known ??= readKnown(this.#file);
    return this.#known;
  }
}

function readKnown(file: string): Map<string, KnownFile> {
  const known = new Map<string, KnownFile>();
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return known;
  }
  const [format, ...lines] = text.split("\0");
  if (format !== FORMAT) return known;
  for (const line of lines) {
    const match = /^([0-9a-f]{64}) (\d+) (\d+) (\S+) (\S+) (.+)$/s.exec(line);
    const [, digest = "", size, ino, mtime = "", ctime = "", path = ""] = match ?? [];
    if (match !== null) known.set(path, { digest, size: Number(size), ino: Number(ino), mtime, ctime });
  }
  return known;
}

function mtimeOf({ mtimeSeconds, mtimeNanoseconds }: ContextEntry): string {
  return `${mtimeSeconds}.${mtimeNanoseconds}`;
}

function ctimeOf({ ctimeSeconds, ctimeNanoseconds }: ContextEntry): string {
  return `${ctimeSeconds}.${ctimeNanoseconds}`;
}
