import { readFileSync } from "node:fs";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { AT_EMPTY_PATH, AT_FDCWD } from "./stat.ts";
import { check, SystemError } from "./system-error.ts";

export const MS = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  REMOUNT: 0x20,
  NOATIME: 0x400,
  BIND: 0x1000,
  MOVE: 0x2000,
  REC: 0x4000,
  UNBINDABLE: 0x20000,
  PRIVATE: 0x40000,
  SLAVE: 0x80000,
  SHARED: 0x100000,
} as const;

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0x80000;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_RDONLY = 1;

export type Propagation = "private" | "slave" | "shared";

export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  /** The mount point, as this process sees it. */
  readonly target: string;
  /** The part of the file system that is mounted. */
  readonly root: string;
  readonly fstype: string;
  readonly source: string;
  readonly options: string;
  readonly superOptions: string;
  /** `shared:N`, `master:N`, ... */
  readonly propagation: readonly string[];
  readonly dev: string;
}

/** mount(2). `data` is the file system's option text, at most a page. */
export function mount(source: string, target: string, fstype: string, flags = 0, data = ""): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [from, at, type] = [memory.string(source), memory.path(target), memory.string(fstype)];
  const options = data === "" ? 0 : memory.string(data);
  check(call(nr.mount, from, at, type, flags, options), `mount ${fstype || source} on`, target);
}

/** Unmounts what is on top at a path; never follows a link there. `lazy` detaches it at once and ends it when unused. */
export function unmount(target: string, options: { readonly lazy?: boolean } = {}): void {
  const { nr, call } = kernel();
  const flags = UMOUNT_NOFOLLOW | (options.lazy ? MNT_DETACH : 0);
  check(call(nr.umount2, scratch().path(target), flags), "umount", target);
}

export interface BindOptions {
  readonly readonly?: boolean;
  /** With the mounts below the source. */
  readonly recursive?: boolean;
  readonly propagation?: Propagation;
}

/**
 * Shows `source` at `target`. The copy is made read-only before it is attached, so there is no moment in which it
 * could be written.
 */
export function bindMount(source: string, target: string, options: BindOptions = {}): void {
  const { nr, call } = kernel();
  const recursive = options.recursive ? AT_RECURSIVE : 0;
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive;
  const tree = check(call(nr.open_tree, AT_FDCWD, scratch().path(source), flags), "open_tree", source);
  try {
    if (options.readonly || options.propagation) setAttributes(tree, recursive, options, source);
    attach(tree, target);
  } finally {
    call(nr.close, tree);
  }
}

function setAttributes(tree: number, flags: number, options: BindOptions, source: string): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const attr = memory.zeroed(32);
  if (options.readonly) memory.view.setUint32(attr, MOUNT_ATTR_RDONLY, true);
  if (options.propagation) memory.view.setUint32(attr + 16, propagationFlag(options.propagation), true);
  const empty = memory.string("");
  const result = call(nr.mount_setattr, tree, empty, AT_EMPTY_PATH | flags, memory.address(attr), 32);
  check(result, "mount_setattr", source);
}

function propagationFlag(propagation: Propagation): number {
  if (propagation === "shared") return MS.SHARED;
  return propagation === "slave" ? MS.SLAVE : MS.PRIVATE;
}

/** Puts a detached mount in its place. */
export function attach(mountFd: number, target: string): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const [empty, at] = [memory.string(""), memory.path(target)];
  check(call(nr.move_mount, mountFd, empty, AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH), "move_mount", target);
}

export interface TmpfsOptions {
  /** Bytes; half of the memory when absent. */
  readonly size?: number;
  /** Octal; 0o1777 when absent. */
  readonly mode?: number;
}

export function mountTmpfs(target: string, options: TmpfsOptions = {}): void {
  const data = [`mode=${(options.mode ?? 0o1777).toString(8)}`];
  if (options.size !== undefined) data.push(`size=${options.size}`);
  mount("tmpfs", target, "tmpfs", MS.NOSUID | MS.NODEV, data.join(","));
}

/** Every mount that this process sees, in the order in which they were made. */
export function mounts(): MountInfo[] {
  return parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** proc(5), `/proc/pid/mountinfo`. */
export function parseMountInfo(text: string): MountInfo[] {
  const found: MountInfo[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-", 6);
    const [id, parent, dev, root, target, options] = fields;
    if (dash < 0 || dev === undefined || root === undefined || target === undefined || options === undefined) continue;
    found.push({
      id: Number(id),
      parent: Number(parent),
      dev,
      root: unescapeOctal(root),
      target: unescapeOctal(target),
      options,
      propagation: fields.slice(6, dash),
      fstype: fields[dash + 1] ?? "",
      source: unescapeOctal(fields[dash + 2] ?? ""),
      superOptions: fields[dash + 3] ?? "",
    });
  }
  return found;
}

function unescapeOctal(text: string): string {
  return text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    : text;
}

/** Unmounts whatever is at or below a path, innermost first; returns how many there were. */
export function unmountBelow(path: string): number {
  const inside = mounts().filter((each) => each.target === path || each.target.startsWith(`${path}/`));
  let count = 0;
  for (const each of inside.reverse()) {
    try {
      unmount(each.target, { lazy: true });
      count++;
    } catch (error) {
      // A mount that went away by itself (its parent was detached) is as good as unmounted.
      if (!(error instanceof SystemError) || (error.code !== "EINVAL" && error.code !== "ENOENT")) throw error;
    }
  }
  return count;
}
