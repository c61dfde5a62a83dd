import { posix } from "node:path";
import type { LayerEntry, RootEntry, RootView } from "@slipway/store";

export interface ContainerChange {
  readonly path: string;
  readonly kind: "modified" | "added" | "deleted";
}

/** Made by each start for what is mounted there; they say nothing about what the container did. */
const MOUNT_POINTS = new Set([
  ...["dev", "dev/console", "dev/mqueue", "dev/pts", "dev/shm", "proc", "sys"],
  ...["etc/hostname", "etc/hosts", "etc/resolv.conf", ".dockerenv"],
]);

/** What an upper directory holds, without the empty files and directories that only wait for a mount. */
export function withoutMountPoints(entries: readonly LayerEntry[], below: RootView): LayerEntry[] {
  const dropped = new Set<string>();
  const kept = entries.filter((entry) => {
    const waits =
      MOUNT_POINTS.has(entry.path) && isEmpty(entry, entries) && below.lstat(`/${entry.path}`) === undefined;
    if (waits) dropped.add(posix.dirname(entry.path));
    return !waits;
  });
  if (!dropped.has("etc") && !dropped.has("dev")) return kept;
  // Their directory came up with them; unless more happened to it, it is as it was.
  return kept.filter((entry) => !(dropped.has(entry.path) && isIdle(entry, kept, below)));
}

function isEmpty(entry: LayerEntry, all: readonly LayerEntry[]): boolean {
  if (entry.kind === "file") return entry.content.from !== "bytes" && entry.content.size === 0;
  if (entry.kind !== "dir") return false;
  return all.every(({ path }) => !path.startsWith(`${entry.path}/`) || MOUNT_POINTS.has(path));
}

function isIdle(entry: LayerEntry, all: readonly LayerEntry[], below: RootView): boolean {
  if (entry.kind !== "dir" || all.some(({ path }) => path.startsWith(`${entry.path}/`))) return false;
  const before = below.lstat(`/${entry.path}`);
  return before === undefined || sameAccess(entry, before);
}

function sameAccess(entry: Exclude<LayerEntry, { kind: "whiteout" }>, before: RootEntry): boolean {
  return entry.mode === before.mode && entry.uid === before.uid && entry.gid === before.gid;
}

/** What was added, changed or deleted, by path. A directory counts as changed when something in it is. */
export function changesOf(entries: readonly LayerEntry[], below: RootView): ContainerChange[] {
  const found = new Map<string, ContainerChange["kind"]>();
  const set = (path: string, kind: ContainerChange["kind"]): void => {
    found.set(path, kind);
    for (let above = posix.dirname(path); above !== "/" && !found.has(above); above = posix.dirname(above)) {
      found.set(above, "modified");
    }
  };
  const present = new Set(entries.map(({ path }) => `/${path}`));
  // Directories that are replaced as a whole: what they had is gone, unless it is there again.
  for (const entry of entries) {
    const path = `/${entry.path}`;
    const before = below.lstat(path);
    if (entry.kind === "whiteout") {
      if (before !== undefined) set(path, "deleted");
      continue;
    }
    if (path === "/") continue;
    if (before === undefined) set(path, "added");
    else if (!isSame(entry, before)) set(path, "modified");
    if (entry.kind !== "dir" || entry.opaque !== true || before?.kind !== "dir") continue;
    for (const name of below.readdir(path)) {
      const child = posix.join(path, name);
      if (!present.has(child)) set(child, "deleted");
    }
  }
  return [...found]
    .map(([path, kind]) => ({ path, kind }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

function isSame(entry: Exclude<LayerEntry, { kind: "whiteout" }>, before: RootEntry): boolean {
  if (entry.kind === "link") return false;
  if (entry.kind !== before.kind || !sameAccess(entry, before) || entry.mtime !== before.mtime) return false;
  return entry.kind !== "file" || (entry.content.from !== "bytes" && entry.content.size === before.size);
}
