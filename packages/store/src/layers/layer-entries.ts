import { SlipwayError } from "@slipway/base";
import type { LayerEntry } from "../faces.ts";
import { WHITEOUT_PREFIX } from "./whiteout.ts";

export type DirEntry = Extract<LayerEntry, { kind: "dir" }>;

/**
 * The canonical order: depth first, names bytewise, a directory before what is in it. As a path is compared name by name,
 * `/` counts less than any other character: `a/b` comes before `a-b`.
 */
export function sortKey(path: string): string {
  return path.includes("/") ? path.replaceAll("/", "\0") : path;
}

export function compareBytewise(a: string, b: string): number {
  if (a === b) return 0;
  // JavaScript compares UTF-16 units: the same as UTF-8 bytes but for characters beyond U+FFFF.
  return SURROGATE.test(a) || SURROGATE.test(b) ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : a < b ? -1 : 1;
}

const SURROGATE = /[\ud800-\udfff]/;

export function sortEntries<T extends { readonly path: string }>(entries: readonly T[]): T[] {
  const keyed = entries.map((entry) => ({ key: sortKey(entry.path), entry }));
  keyed.sort((a, b) => compareBytewise(a.key, b.key));
  return keyed.map(({ entry }) => entry);
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** What a directory that nobody described looks like. */
export function defaultDirectory(path: string): DirEntry {
  return { kind: "dir", path, mode: 0o755, uid: 0, gid: 0, mtime: 0n };
}

/**
 * Entries in canonical order, complete and consistent: missing parent directories are added (as `describe` knows them),
 * and of each group of hard links the first is the file. Throws `invalid` with the path at fault.
 */
export function normalizeEntries(
  entries: readonly LayerEntry[],
  describe: (path: string) => DirEntry | undefined,
): LayerEntry[] {
  const byPath = new Map<string, LayerEntry>();
  for (const entry of entries) {
    checkPath(entry);
    if (byPath.has(entry.path)) fail(entry.path, "appears twice");
    byPath.set(entry.path, entry);
  }
  const added: LayerEntry[] = [];
  for (const entry of entries) addParents(entry.path, { byPath, added, describe });
  return sortEntries(orderLinks([...entries, ...added], byPath));
}

interface Parents {
  readonly byPath: Map<string, LayerEntry>;
  readonly added: LayerEntry[];
  readonly describe: (path: string) => DirEntry | undefined;
}

function addParents(path: string, parents: Parents): void {
  for (let parent = parentOf(path); parent !== ""; parent = parentOf(parent)) {
    const known = parents.byPath.get(parent);
    if (known?.kind === "dir") return;
    if (known !== undefined) fail(path, `lies below '${parent}', which is not a directory`);
    const entry = parents.describe(parent) ?? defaultDirectory(parent);
    parents.byPath.set(parent, entry);
    parents.added.push(entry);
  }
}

function checkPath(entry: LayerEntry): void {
  const { path } = entry;
  if (path === "") {
    if (entry.kind !== "dir") fail(path, "is the root and must be a directory");
    return;
  }
  for (const name of path.split("/")) {
    if (name === "" || name === "." || name === "..") fail(path, "is not a normal relative path");
    if (name.startsWith(WHITEOUT_PREFIX)) fail(path, "has a name that layers reserve for deleted files");
  }
  if (path.includes("\0")) fail(path, "contains a NUL byte");
}

/** A hard link must follow its target in a tar; sorting may turn them around, so the first of each group gets the content. */
function orderLinks(entries: LayerEntry[], byPath: ReadonlyMap<string, LayerEntry>): LayerEntry[] {
  const groups = new Map<string, string[]>();
  for (const entry of entries) {
    if (entry.kind !== "link") continue;
    const target = linkTarget(entry, byPath);
    const group = groups.get(target.path);
    if (group === undefined) groups.set(target.path, [target.path, entry.path]);
    else group.push(entry.path);
  }
  if (groups.size === 0) return entries;
  const replaced = new Map<string, LayerEntry>();
  for (const [target, paths] of groups) {
    const body = byPath.get(target);
    if (body === undefined || body.kind === "whiteout" || body.kind === "dir") continue;
    const [first = target, ...others] = paths.sort((a, b) => compareBytewise(sortKey(a), sortKey(b)));
    replaced.set(first, { ...body, path: first });
    const { mode, uid, gid, mtime, xattrs } = body;
    for (const path of others) {
      replaced.set(path, { kind: "link", path, target: first, mode, uid, gid, mtime, ...(xattrs && { xattrs }) });
    }
  }
  return entries.map((entry) => replaced.get(entry.path) ?? entry);
}

function linkTarget(link: LayerEntry, byPath: ReadonlyMap<string, LayerEntry>): LayerEntry {
  let entry: LayerEntry | undefined = link;
  for (let hops = 0; entry?.kind === "link"; hops++) {
    if (hops > byPath.size) fail(link.path, "is a hard link to itself");
    entry = byPath.get(entry.target);
  }
  if (entry === undefined || entry.kind === "dir" || entry.kind === "whiteout") {
    fail(link.path, "is a hard link to something that is no file of this layer");
  }
  return entry;
}

function fail(path: string, why: string): never {
  throw new SlipwayError("invalid", `layer entry '${path}' ${why}`);
}
