import { posix } from "node:path";
import { ExitError } from "../errors.ts";

/** One end of a copy. */
export interface Place {
  /** Of a container; undefined on this machine. */
  readonly container?: string;
  readonly path: string;
}

/** `CONTAINER:PATH`, or a path of this machine: one with a slash or dot in front is never a container's. */
export function parsePlace(text: string): Place {
  if (text.startsWith("/") || text.startsWith(".")) return { path: text };
  const colon = text.indexOf(":");
  return colon < 0 ? { path: text } : { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

/** What is known of one end before the copy. */
export interface End {
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
}

/** What a copy becomes: the directory to unpack in, and the name of the first component there. */
export interface Plan {
  readonly directory: string;
  readonly name: string;
}

/**
 * The rules of `cp`: into a directory that exists under the source's name, otherwise to the very path. `dir/.` means what is
 * in the directory. Throws `ExitError` for what cannot be.
 */
export function planCopy(source: End, target: End): Plan {
  if (!source.isDirectory && wantsDirectory(source.path)) throw new ExitError(1, "not a directory");
  if (target.exists && target.isDirectory) return { directory: target.path, name: baseName(source.path) };
  if (target.exists && source.isDirectory) throw new ExitError(1, "cannot copy directory");
  if (target.exists && wantsDirectory(target.path)) throw new ExitError(1, "not a directory");
  if (!target.exists && !source.isDirectory && wantsDirectory(target.path)) {
    throw new ExitError(1, "no such directory");
  }
  const clean = posix.normalize(target.path).replace(/\/$/, "");
  return { directory: posix.dirname(clean), name: posix.basename(clean) };
}

/** A slash or `/.` at the end. */
export function wantsDirectory(path: string): boolean {
  return /(^|\/)\.?$/.test(path) && path !== "";
}

/** `.` for a directory's content. */
export function baseName(path: string): string {
  if (/(^|\/)\.$/.test(path)) return ".";
  const base = posix.basename(path);
  return base === "" || base === ".." ? "." : base;
}
