import { posix } from "node:path";
import { hasGlob } from "@slipway/dockerfile";

/** A source path below the root of its context: `..` cannot leave it, and a leading slash means nothing. */
export function sourcePath(written: string): string {
  return posix.join("/", written).slice(1).replace(/\/+$/, "");
}

/** A destination below the working directory; what names a directory ends with a slash. */
export function destinationPath(written: string, workdir: string): string {
  const path = written.startsWith("/") ? posix.normalize(written) : posix.join(workdir, written);
  const directory = written === "." || written === "" || written.endsWith("/") || written.endsWith("/.");
  return directory && !path.endsWith("/") ? `${path}/` : path;
}

/** The part of a pattern that is a plain path: only what lies below it needs to be looked at. */
export function literalPrefix(pattern: string): string {
  const parts = pattern.split("/");
  const first = parts.findIndex((part) => hasGlob(part));
  return first < 0 ? pattern : parts.slice(0, first).join("/");
}

export function isHttpUrl(word: string): boolean {
  return /^https?:\/\//i.test(word);
}

/** A git repository as ADD and the main context write it; HTTP needs the `.git`. */
export function isGitUrl(word: string): boolean {
  if (/^(?:git|ssh):\/\//i.test(word) || /^[\w.-]+@[\w.-]+:/.test(word)) return true;
  return isHttpUrl(word) && /^[^#?]+\.git(?:[#?].*)?$/i.test(word);
}

/** The file name that a URL ends with, empty when it ends with a slash. */
export function urlFileName(url: string): string {
  try {
    return decodeURIComponent(posix.basename(new URL(url).pathname)).replaceAll("/", "");
  } catch {
    return "";
  }
}
