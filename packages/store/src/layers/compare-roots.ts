import { readlinkSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { RootChange, RootEntry } from "../faces.ts";
import { childIn, type MergedView, namesIn } from "./root-view.ts";

/** Milliseconds of looking at files without a pause for others. */
const TURN = 5;
const BLOCK = 256 * 1024;

interface Side {
  readonly view: MergedView;
  readonly directories: readonly string[] | undefined;
}

/**
 * What differs between two root file systems, by path. Directories that are made of the same trees are not entered, so
 * images with a common base cost what was laid over it. Times do not count: a rebuilt file is the same file.
 */
export async function* compareRoots(before: MergedView, after: MergedView, signal?: AbortSignal) {
  const turn = new Turn(signal);
  yield* compareDirectory("", { view: before, directories: before.top }, { view: after, directories: after.top }, turn);
}

class Turn {
  readonly signal: AbortSignal | undefined;
  #began = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal;
  }

  async next(): Promise<void> {
    if (performance.now() - this.#began < TURN) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.signal?.throwIfAborted();
    this.#began = performance.now();
  }
}

async function* compareDirectory(path: string, before: Side, after: Side, turn: Turn): AsyncGenerator<RootChange> {
  if (isSame(before.directories, after.directories)) return;
  const names = new Set([...namesIn(before.directories ?? []), ...namesIn(after.directories ?? [])]);
  for (const name of [...names].sort()) {
    await turn.next();
    const here = `${path}/${name}`;
    const old = before.directories && childIn(before.directories, name);
    const now = after.directories && childIn(after.directories, name);
    const change = await compareEntry(here, old, now, turn);
    if (change !== undefined) yield change;
    const inside = [enter(before, old, name), enter(after, now, name)] as const;
    if (inside.some((side) => side.directories !== undefined)) yield* compareDirectory(here, ...inside, turn);
  }
}

function enter({ view, directories }: Side, entry: RootEntry | undefined, name: string): Side {
  const isDirectory = directories !== undefined && entry?.kind === "dir";
  return { view, directories: isDirectory ? view.descend(directories, name) : undefined };
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a?.length === b?.length && (a ?? []).every((directory, index) => directory === b?.[index]);
}

async function compareEntry(
  path: string,
  old: RootEntry | undefined,
  now: RootEntry | undefined,
  turn: Turn,
): Promise<RootChange | undefined> {
  if (old === undefined && now === undefined) return undefined;
  const sizes = { before: sizeOf(old), after: sizeOf(now) };
  const entry = now ?? old;
  if (entry === undefined) return undefined;
  if (old === undefined || now === undefined) {
    return { path, kind: old === undefined ? "added" : "removed", entry: entry.kind, what: [], ...sizes };
  }
  const what = await differences(old, now, turn);
  return what.length === 0 ? undefined : { path, kind: "changed", entry: now.kind, what, ...sizes };
}

function sizeOf(entry: RootEntry | undefined): number {
  return entry?.kind === "file" ? entry.size : 0;
}

async function differences(old: RootEntry, now: RootEntry, turn: Turn): Promise<RootChange["what"][number][]> {
  if (old.hostPath === now.hostPath) return [];
  if (old.kind !== now.kind) return ["kind"];
  const content = await differsInContent(old, now, turn);
  return [
    ...(content ? (["content"] as const) : []),
    ...(old.mode !== now.mode ? (["mode"] as const) : []),
    ...(old.uid !== now.uid || old.gid !== now.gid ? (["owner"] as const) : []),
  ];
}

async function differsInContent(old: RootEntry, now: RootEntry, turn: Turn): Promise<boolean> {
  switch (now.kind) {
    case "file":
      if (old.size !== now.size) return true;
      // Trees share files by hard links: the same inode is the same content.
      return old.ino !== now.ino && (await filesDiffer(old.hostPath, now.hostPath, turn));
    case "symlink":
      return readlinkSync(old.hostPath) !== readlinkSync(now.hostPath);
    case "char":
    case "block":
      return old.major !== now.major || old.minor !== now.minor;
    default:
      return false;
  }
}

async function filesDiffer(a: string, b: string, turn: Turn): Promise<boolean> {
  await using first = await open(a);
  await using second = await open(b);
  for (const buffers = [Buffer.alloc(BLOCK), Buffer.alloc(BLOCK)] as const; ; ) {
    const [one, two] = await Promise.all([fill(first, buffers[0]), fill(second, buffers[1])]);
    if (!one.equals(two)) return true;
    if (one.length < BLOCK) return false;
    turn.signal?.throwIfAborted();
  }
}

/** The next block, shorter only at the end of the file. */
async function fill(file: FileHandle, buffer: Buffer): Promise<Buffer> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
