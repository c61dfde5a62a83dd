import { SlipwayError } from "@slipway/base";
import { closeFd, openPath } from "./file.ts";
import { kernel } from "./kernel.ts";
import { attach, bindMount, mount } from "./mounts.ts";
import { scratch } from "./scratch.ts";
import { EINVAL, ENOSYS, SystemError } from "./system-error.ts";

export interface OverlayOptions {
  /** Directories that are only read, topmost first. */
  readonly lowers: readonly string[];
  /** Takes what is written; without it the mount is read-only. */
  readonly upper?: string;
  /** An empty directory beside `upper`, on the same file system. */
  readonly work?: string;
  readonly target: string;
  readonly readonly?: boolean;
  /** Keep overlayfs' own marks in `user.*` attributes, as a mount without root must. */
  readonly userxattr?: boolean;
  /** Skip all syncs: for an upper directory that is thrown away after a crash. */
  readonly volatile?: boolean;
}

const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const MOUNT_ATTR_RDONLY = 1;
const CONFIG = { flag: 0, string: 1, create: 6 } as const;
/** fsconfig(2) takes texts of at most 255 bytes. */
const LONGEST_VALUE = 255;
/** mount(2) copies one page of options. */
const LONGEST_OPTIONS = 4095;

/**
 * Mounts a union of directories. The new mount API takes one layer at a time, so the number of layers is bounded by
 * overlayfs itself (500) and not by a page of options; kernels before 6.7 get mount(2). Paths that are too long for
 * either go in as `/proc/self/fd/N`.
 */
export function mountOverlay(options: OverlayOptions): void {
  if (mountedWithoutOverlay(options)) return;
  const opened: number[] = [];
  try {
    if (!mountByFsopen(options, opened)) mountByOptions(options, opened);
  } finally {
    for (const fd of opened) closeFd(fd);
  }
}

/** overlayfs wants two directories at least; one needs no union. */
function mountedWithoutOverlay(options: OverlayOptions): boolean {
  const [first, second] = options.lowers;
  if (options.upper !== undefined) {
    if (options.work === undefined)
      throw new SlipwayError("invalid", `overlay on ${options.target}: upper without work directory`);
    if (first !== undefined) return false;
    bindMount(options.upper, options.target, { readonly: options.readonly === true });
    return true;
  }
  if (first === undefined) throw new SlipwayError("invalid", `overlay on ${options.target}: no directories to unite`);
  if (second !== undefined) return false;
  bindMount(first, options.target, { readonly: true });
  return true;
}

/** The flags and values that both ways of mounting have in common. */
function parameters(options: OverlayOptions): [key: string, value: string | undefined][] {
  const list: [string, string | undefined][] = [
    // An upper directory must be complete in itself, because it becomes a layer: no file whose data or name is elsewhere.
    ["metacopy", "off"],
    ["redirect_dir", "off"],
    // Verifying origins forbids the same layer in two mounts, which is what layers are for.
    ["index", "off"],
  ];
  if (options.userxattr) list.push(["userxattr", undefined]);
  if (options.volatile && options.upper !== undefined) list.push(["volatile", undefined]);
  return list;
}

/** False when the kernel does not know this way. */
function mountByFsopen(options: OverlayOptions, opened: number[]): boolean {
  const { nr, call } = kernel();
  const context = call(nr.fsopen, scratch().string("overlay"), FSOPEN_CLOEXEC);
  if (context === -ENOSYS) return false;
  if (context < 0) throw noOverlay(context, options.target);
  try {
    if (!configure(context, options, opened)) return false;
    const attributes = options.readonly || options.upper === undefined ? MOUNT_ATTR_RDONLY : 0;
    const made = call(nr.fsmount, context, FSMOUNT_CLOEXEC, attributes);
    if (made < 0) throw new SystemError("fsmount overlay", -made, options.target, readMessages(context));
    try {
      attach(made, options.target);
    } finally {
      closeFd(made);
    }
    return true;
  } finally {
    closeFd(context);
  }
}

function configure(context: number, options: OverlayOptions, opened: number[]): boolean {
  for (const [index, lower] of options.lowers.entries()) {
    const result = setParameter(context, "lowerdir+", short(lower, opened));
    if (result === -EINVAL && index === 0) {
      const messages = readMessages(context);
      if (messages === "" || messages.includes("Unknown parameter")) return false;
      throw new SystemError("mount overlay on", EINVAL, options.target, messages);
    }
    if (result < 0)
      throw new SystemError(`overlay lower directory ${lower} of`, -result, options.target, readMessages(context));
  }
  const pairs = parameters(options);
  if (options.upper !== undefined && options.work !== undefined) {
    pairs.push(["upperdir", short(options.upper, opened)], ["workdir", short(options.work, opened)]);
  }
  for (const [key, value] of pairs) {
    const result = setParameter(context, key, value);
    if (result < 0)
      throw new SystemError(`overlay option ${key}=${value ?? ""} of`, -result, options.target, readMessages(context));
  }
  const { nr, call } = kernel();
  const result = call(nr.fsconfig, context, CONFIG.create, 0, 0, 0);
  if (result < 0) throw new SystemError("mount overlay on", -result, options.target, readMessages(context));
  return true;
}

function setParameter(context: number, key: string, value: string | undefined): number {
  const { nr, call } = kernel();
  const memory = scratch();
  const name = memory.string(key);
  if (value === undefined) return call(nr.fsconfig, context, CONFIG.flag, name, 0, 0);
  return call(nr.fsconfig, context, CONFIG.string, name, memory.string(value), 0);
}

function short(path: string, opened: number[]): string {
  return Buffer.byteLength(path) <= LONGEST_VALUE ? path : throughDescriptor(path, opened);
}

function throughDescriptor(path: string, opened: number[]): string {
  const fd = openPath(path);
  opened.push(fd);
  return `/proc/self/fd/${fd}`;
}

function mountByOptions(options: OverlayOptions, opened: number[]): void {
  const texts = (name: (path: string) => string): string => {
    const parts = parameters(options).map(([key, value]) => (value === undefined ? key : `${key}=${value}`));
    if (options.lowers.length > 0) parts.unshift(`lowerdir=${options.lowers.map(name).join(":")}`);
    if (options.upper !== undefined && options.work !== undefined) {
      parts.push(`upperdir=${name(options.upper)}`, `workdir=${name(options.work)}`);
    }
    return parts.join(",");
  };
  let data = texts(escapeOption);
  if (Buffer.byteLength(data) > LONGEST_OPTIONS) data = texts((path) => throughDescriptor(path, opened));
  if (Buffer.byteLength(data) > LONGEST_OPTIONS) {
    throw new SlipwayError("exhausted", `${options.lowers.length} layers are too many for this kernel's overlayfs`, {
      hint: "Linux 6.7 and newer take up to 500 layers",
    });
  }
  mount("overlay", options.target, "overlay", options.readonly || options.upper === undefined ? 1 : 0, data);
}

/** overlayfs splits at `:` and `,`; a backslash takes the next character as it is. */
function escapeOption(path: string): string {
  return path.replace(/[\\:,]/g, "\\$&");
}

/** What the file system has to say about its last failure. */
function readMessages(context: number): string {
  const { nr, call } = kernel();
  const memory = scratch();
  const lines: string[] = [];
  for (let index = 0; index < 8; index++) {
    const at = memory.take(1024);
    const length = call(nr.read, context, memory.address(at), 1024);
    if (length <= 0) break;
    lines.push(
      memory
        .text(at, length)
        .replace(/^[ewi] /, "")
        .trim(),
    );
  }
  return lines.join("; ");
}

function noOverlay(result: number, target: string): Error {
  const cause = new SystemError("fsopen overlay", -result, target);
  if (cause.code !== "ENODEV") return cause;
  return new SlipwayError("unavailable", "this kernel has no overlayfs", { cause, hint: "modprobe overlay" });
}
