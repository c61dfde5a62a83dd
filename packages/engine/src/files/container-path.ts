import { posix } from "node:path";
import { errnoOf, SlipwayError } from "@slipway/base";
import { closeFd, type FileStat, fstatNs, O, openInRoot, readlinkAt } from "@slipway/sys";

/** As many links as Linux follows. */
const MOST_LINKS = 40;

/** What lies at a path of a container. */
export interface PathStat {
  /** The last component, as the path names it. */
  readonly name: string;
  readonly stat: FileStat;
  /** Where a link leads, every link on the way followed; empty for what is none. */
  readonly linkTarget: string;
}

/** Absolute and clean. A slash or `/.` at the end is kept: it says that a directory, or a link to one, is meant. */
export function cleanPath(path: string): string {
  if (path === "") throw new SlipwayError("invalid", "bad parameter: path cannot be empty");
  if (path.includes("\0")) throw new SlipwayError("invalid", "bad parameter: path has a zero byte");
  const clean = posix.normalize(`/${path}`);
  if (/(^|\/)\.$/.test(path)) return clean.endsWith("/") ? `${clean}.` : `${clean}/.`;
  return clean;
}

/** The last component of a clean path; of the root `/`. */
export function baseName(clean: string): string {
  if (clean.endsWith("/.")) return ".";
  return posix.basename(clean) || "/";
}

/** Throws `not-found` in Docker's words. */
export function statPath(root: number, clean: string, container: string): PathStat {
  const fd = openPlace(root, clean, { flags: O.PATH | O.NOFOLLOW, container });
  try {
    const stat = fstatNs(fd);
    const linkTarget = stat.kind === "symlink" ? followLinks(root, clean) : "";
    return { name: baseName(clean), stat, linkTarget };
  } finally {
    closeFd(fd);
  }
}

/** `openInRoot` with Docker's words for what can be wrong with a path. */
export function openPlace(
  root: number,
  clean: string,
  { flags, container }: { readonly flags: number; readonly container: string },
): number {
  try {
    return openInRoot(root, clean, flags);
  } catch (error) {
    const refuse = (code: "invalid" | "not-found", message: string) =>
      new SlipwayError(code, message, { cause: error });
    switch (errnoOf(error)) {
      case "ENOENT":
        throw refuse("not-found", `Could not find the file ${clean} in container ${container}`);
      case "ENOTDIR":
        throw refuse("invalid", `${clean} in container ${container}: not a directory`);
      case "ELOOP":
        throw refuse("invalid", `${clean} in container ${container}: too many links`);
      case "ENAMETOOLONG":
        throw refuse("invalid", `${clean.slice(0, 100)}… in container ${container}: file name too long`);
      default:
        throw error;
    }
  }
}

/** The path behind a link, by text; what does not exist is kept as it is written. A moment's truth, for people to read. */
function followLinks(root: number, path: string): string {
  const left = path.split("/").filter(isStep);
  let resolved: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const step = left.shift() ?? "";
    if (step === "..") {
      resolved.pop();
      continue;
    }
    const target = linkAt(root, `/${[...resolved, step].join("/")}`);
    if (target === undefined || ++links > MOST_LINKS) {
      resolved.push(step);
      continue;
    }
    if (target.startsWith("/")) resolved = [];
    left.unshift(...target.split("/").filter(isStep));
  }
  return `/${resolved.join("/")}`;
}

function isStep(text: string): boolean {
  return text !== "" && text !== ".";
}

function linkAt(root: number, path: string): string | undefined {
  let fd: number;
  try {
    fd = openInRoot(root, path, O.PATH | O.NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    return fstatNs(fd).kind === "symlink" ? readlinkAt(fd, "") : undefined;
  } catch (error) {
    // A process of the container took it away in between.
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  } finally {
    closeFd(fd);
  }
}
