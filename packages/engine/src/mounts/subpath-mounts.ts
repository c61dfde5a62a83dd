import { mkdirSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, SlipwayError } from "@slipway/base";
import { bindMount, closeFd, fdPath, fstatNs, O, openInRoot, openPath, unmountBelow } from "@slipway/sys";
import type { ContainerPaths } from "../containers/container-paths.ts";
import { namesIn } from "../directory-names.ts";

/** A part of a volume or of an image, named by its path inside. */
export interface Part {
  readonly root: string;
  /** Undefined means all of it. */
  readonly subpath: string | undefined;
  /** For messages: `volume` or `image`. */
  readonly what: string;
}

/**
 * Opens a part (O_PATH). Whoever can write to the volume can put links there at any moment: they are followed inside it,
 * never out, and what is opened is what is mounted. Throws `invalid` when it does not exist.
 */
export function openPart({ root, subpath, what }: Part): number {
  if (subpath === undefined) return openPath(root);
  try {
    return openInRoot(root, subpath, O.PATH);
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (!["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"].includes(errno)) throw error;
    const why = errno === "ENOENT" ? `it does not exist in the ${what}` : errno;
    throw new SlipwayError("invalid", `cannot access path ${join(root, subpath)}: ${why}`, { cause: error });
  }
}

/** The path by which an open part is mounted: the descriptor, not a name that may lead elsewhere by now. */
export function partPath(fd: number): string {
  // The dot makes the kernel enter the descriptor.
  return fstatNs(fd).kind === "dir" ? fdPath(fd, ".") : fdPath(fd);
}

/**
 * Mounts a part where nobody but us can change what it is, for the runtime, which takes paths only. `at` tells a
 * container's parts apart. Never in the bundle, which is removed recursively. `releaseSubpaths` undoes it.
 */
export function holdSubpath(paths: Pick<ContainerPaths, "subpaths">, id: string, at: number, part: Part): string {
  const directory = paths.subpaths(id);
  const place = join(directory, String(at));
  const fd = openPart(part);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (fstatNs(fd).kind === "dir") mkdirSync(place, { recursive: true, mode: 0o700 });
    else writeFileSync(place, "", { mode: 0o600 });
    bindMount(partPath(fd), place, { recursive: true, propagation: "private" });
  } finally {
    closeFd(fd);
  }
  return place;
}

/** Again does nothing. What is still mounted cannot be removed, and so is not lost. */
export function releaseSubpaths(paths: Pick<ContainerPaths, "subpaths">, id: string): void {
  const directory = paths.subpaths(id);
  unmountBelow(directory);
  for (const name of namesIn(directory)) removeEmpty(join(directory, name));
  removeEmpty(directory);
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    if (errnoOf(error) !== "ENOTDIR") throw error;
    unlinkSync(path);
  }
}
