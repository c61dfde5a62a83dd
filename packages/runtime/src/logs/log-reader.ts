import { type FSWatcher, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import type { LogOutput, LogQuery, LogRecord, LogSource } from "../faces.ts";
import { LogFile } from "./log-file.ts";
import { frameOf, outputOf } from "./log-output.ts";
import { logPath, rotatedPath } from "./log-paths.ts";
import { parseLogLine } from "./log-record.ts";

/** More rotated files than this are never looked for. */
const MOST_FILES = 1000;
/** Milliseconds after which a follower looks even without having been told that something changed. */
const LOOK_ANYWAY = 500;

/**
 * A container's log, oldest first. `follow` goes on across rotations until the container has ended or the signal fires. A
 * log that does not exist is empty.
 */
export function readLogs(source: LogSource, query: LogQuery): LogOutput {
  return {
    [Symbol.asyncIterator]: () => readRecords(source, query),
    bytes: (framed) => readBytes(source, query, framed),
  };
}

async function* readRecords(source: LogSource, query: LogQuery): AsyncGenerator<LogRecord> {
  for await (const block of readBlocks(source, query)) {
    for (const record of recordsOf(block, query)) {
      if (query.until !== undefined && record.time > query.until) return;
      yield record;
    }
  }
}

async function* readBytes(source: LogSource, query: LogQuery, framed: boolean): AsyncGenerator<Uint8Array> {
  const hasTimes = query.since !== undefined || query.until !== undefined;
  for await (const block of readBlocks(source, query)) {
    if (!hasTimes) {
      yield outputOf(block, { ...query, framed });
      continue;
    }
    const parts: Uint8Array[] = [];
    let isOver = false;
    for (const record of recordsOf(block, query)) {
      isOver = query.until !== undefined && record.time > query.until;
      if (isOver) break;
      parts.push(framed ? frameOf(record) : record.data);
    }
    yield Buffer.concat(parts);
    if (isOver) return;
  }
}

function* recordsOf(block: Buffer, query: LogQuery): Generator<LogRecord> {
  for (const line of block.toString("utf8").split("\n")) {
    const record = parseLogLine(line);
    if (record === undefined || !(record.stream === "stdout" ? query.stdout : query.stderr)) continue;
    if (query.since === undefined || record.time >= query.since) yield record;
  }
}

/** Whole lines as they lie in the files, from where the query begins. */
async function* readBlocks(source: LogSource, query: LogQuery): AsyncGenerator<Buffer> {
  const path = logPath(source.directory, source.id, source.driver);
  // Watched from before the first look, so that nothing falls between reading and following.
  using changes = query.follow ? new Changes(dirname(path), source.ended, query.signal) : undefined;
  const cursor = new LogCursor(path);
  try {
    cursor.begin(query);
    for (;;) {
      const ended = changes === undefined || changes.ended;
      for (let block = cursor.next(); block !== undefined; block = cursor.next()) {
        if (query.signal?.aborted) return;
        yield block;
      }
      if (ended || changes === undefined || query.signal?.aborted || isPast(query.until)) return;
      await changes.next(query.until);
    }
  } finally {
    cursor.close();
    source.onClosed?.();
  }
}

function isPast(until: bigint | undefined): boolean {
  return until !== undefined && until <= BigInt(Date.now()) * 1_000_000n;
}

/** A place in the chain of files, from the oldest to the newest. */
class LogCursor {
  readonly #path: string;
  /** Older files still to be read, the next one last. */
  #waiting: LogFile[] = [];
  #current: LogFile | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  begin(query: LogQuery): void {
    const newestFirst = openAll(this.#path);
    if (query.tail !== undefined) this.#waiting = positionTail(newestFirst, query.tail);
    else if (query.since !== undefined) this.#waiting = positionTime(newestFirst, query.since);
    else this.#waiting = newestFirst;
    this.#current = this.#waiting.pop();
  }

  /** The next lines, or undefined when there are none for now. */
  next(): Buffer | undefined {
    for (;;) {
      this.#current ??= LogFile.open(this.#path);
      const lines = this.#current?.lines();
      if (lines !== undefined) return lines;
      const advanced = this.#advance();
      if (typeof advanced !== "boolean") return advanced;
      if (!advanced) return undefined;
    }
  }

  close(): void {
    for (const file of [...this.#waiting, this.#current]) file?.[Symbol.dispose]();
  }

  /** To the file that came after the current one, if there is any; false when there is nothing new. */
  #advance(): Buffer | boolean {
    const current = this.#current;
    if (current === undefined) return false;
    const following = this.#waiting.pop() ?? this.#successor(current);
    if (following === undefined) return false;
    // What was written between our last look and the rotation is still in the old file.
    const last = current.lines();
    if (last !== undefined) {
      this.#waiting.push(following);
      return last;
    }
    current[Symbol.dispose]();
    this.#current = following;
    return true;
  }

  #successor(current: LogFile): LogFile | undefined {
    if (inodeOf(this.#path) === current.inode) return undefined;
    for (let n = 1; n < MOST_FILES; n++) {
      const inode = inodeOf(rotatedPath(this.#path, n));
      if (inode === undefined) break;
      if (inode === current.inode) return LogFile.open(rotatedPath(this.#path, n - 1));
    }
    // It has been rotated away: the oldest that is left comes next.
    const rest = openAll(this.#path);
    const oldest = rest.pop();
    this.#waiting = rest;
    return oldest;
  }
}

/** All files, newest first. */
function openAll(path: string): LogFile[] {
  const files: LogFile[] = [];
  for (let n = 0; n < MOST_FILES; n++) {
    const file = LogFile.open(rotatedPath(path, n));
    if (file === undefined && n > 0) break;
    // In the moment of a rotation the newest is missing.
    if (file !== undefined && !files.some((other) => other.inode === file.inode)) files.push(file);
    else file?.[Symbol.dispose]();
  }
  return files;
}

/** The files that hold the last lines, each at its beginning of them, newest first. */
function positionTail(newestFirst: LogFile[], lines: number): LogFile[] {
  const chosen: LogFile[] = [];
  let wanted = lines;
  for (const file of newestFirst) {
    if (wanted <= 0 && chosen.length > 0) {
      file[Symbol.dispose]();
      continue;
    }
    const { position, found } = file.tail(wanted);
    file.seek(position);
    wanted -= found;
    chosen.push(file);
  }
  return chosen;
}

function positionTime(newestFirst: LogFile[], since: bigint): LogFile[] {
  return newestFirst.filter((file, index) => {
    // A file that was last written before can hold nothing; the newest may still get something.
    if (index > 0 && file.changed < since) {
      file[Symbol.dispose]();
      return false;
    }
    file.seekTime(since);
    return true;
  });
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

/** Wakes a follower when the directory changes, the container ends or the signal fires. */
class Changes implements Disposable {
  ended = false;
  #changed = false;
  #wake: (() => void) | undefined;
  readonly #watcher: FSWatcher | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onChange = () => {
    this.#changed = true;
    this.#wake?.();
  };

  constructor(directory: string, ended: Promise<unknown> | undefined, signal: AbortSignal | undefined) {
    const end = () => {
      this.ended = true;
      this.#onChange();
    };
    ended?.then(end, end);
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onChange);
    try {
      this.#watcher = watch(directory, this.#onChange);
      this.#watcher.on("error", () => {});
    } catch {
      // No watches left (or no directory yet): the regular look is enough.
    }
  }

  async next(until: bigint | undefined): Promise<void> {
    if (!this.#changed) {
      const left = until === undefined ? LOOK_ANYWAY : Number(until / 1_000_000n) - Date.now() + 1;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, Math.max(0, Math.min(LOOK_ANYWAY, left)));
      this.#wake = resolve;
      await promise;
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#signal?.removeEventListener("abort", this.#onChange);
  }
}
