import { SlipwayError } from "@slipway/base";
import { baseOf, parentOf } from "./layer-entries.ts";
import type { NodeMetadata } from "./tree-maker.ts";

export type ModelNode =
  | { readonly kind: "dir"; metadata: NodeMetadata | undefined; opaque: boolean }
  | { readonly kind: "symlink"; readonly target: string }
  | { readonly kind: "whiteout" }
  | { readonly kind: "other" };

/** As many links in a row as Linux follows. */
const MOST_LINKS = 40;
/** PATH_MAX of Linux. */
const LONGEST_PATH = 4095;
/** NAME_MAX of Linux, in bytes. */
const LONGEST_NAME = 255;

/**
 * What an archive has made so far, in memory. Names from the archive are resolved here and nowhere else, so nothing that
 * it contains (links above all) can lead a system call out of the tree: the path that comes out consists of directories
 * that the archive itself has made.
 */
export class LayerModel {
  readonly nodes = new Map<string, ModelNode>([["", { kind: "dir", metadata: undefined, opaque: false }]]);
  /** Some directory was never described: it looks as in the layers below. */
  implied = false;
  readonly #onImplied: (path: string) => void;

  /** `onImplied` makes a directory that is needed but has not been described yet. */
  constructor(onImplied: (path: string) => void) {
    this.#onImplied = onImplied;
  }

  /**
   * Where an entry of this name goes: its normal path, links on the way followed inside the tree, the last name as it is.
   * The root is "". Throws `invalid` for a name that points out of the tree.
   */
  place(name: string): string {
    return this.#locate(name, true);
  }

  /** Where a hard link's target of this name lies; as `place`, but nothing is made for it. */
  find(name: string): string {
    return this.#locate(name, false);
  }

  #locate(name: string, make: boolean): string {
    const path = checkedPath(name);
    const parent = parentOf(path);
    if (parent === "") return path;
    const directory = this.nodes.get(parent)?.kind === "dir" ? parent : this.#enter(parent, name, make);
    return directory === parent ? path : join(directory, baseOf(path));
  }

  /** Forgets a path and everything below it. */
  forget(path: string): void {
    const node = this.nodes.get(path);
    this.nodes.delete(path);
    if (node?.kind !== "dir") return;
    const prefix = `${path}/`;
    for (const key of [...this.nodes.keys()]) if (key.startsWith(prefix)) this.nodes.delete(key);
  }

  /** Walks a path name by name, following links inside the tree and, on demand, making what is missing. */
  #enter(path: string, name: string, make: boolean): string {
    const todo = path.split("/").reverse();
    let current = "";
    let links = 0;
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      if (next === "" || next === ".") continue;
      if (next === "..") {
        current = parentOf(current);
        continue;
      }
      const candidate = join(current, next);
      const node = this.nodes.get(candidate);
      if (node?.kind === "symlink") {
        if (++links > MOST_LINKS) fail(name, "goes through too many symbolic links");
        if (node.target.startsWith("/")) current = "";
        todo.push(...node.target.split("/").reverse());
        continue;
      }
      if (node?.kind === "other") fail(name, `lies below '${candidate}', which is not a directory`);
      if (make && node?.kind !== "dir") this.#imply(candidate, node?.kind === "whiteout");
      current = candidate;
    }
    return current;
  }

  #imply(path: string, opaque: boolean): void {
    if (path.length > LONGEST_PATH) fail(path, "is longer than a path can be");
    this.implied = true;
    this.#onImplied(path);
    this.nodes.set(path, { kind: "dir", metadata: undefined, opaque });
  }
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

/** The name without `.` and doubled slashes. Throws `invalid` for absolute names, `..`, and what no file can be called. */
export function checkedPath(name: string): string {
  if (name.length > LONGEST_PATH) fail(name, "is longer than a path can be");
  if (name.includes("\0")) fail(name, "contains a NUL byte");
  if (name.length > LONGEST_NAME / 3) checkNames(name);
  if (isNormal(name)) return name;
  const names = name.split("/").filter((part) => part !== "" && part !== ".");
  if (names.includes("..")) fail(name, "has '..' in its name and would lie outside of the layer");
  if (name.startsWith("/") && names.length > 0) fail(name, "has an absolute name");
  return names.join("/");
}

/** A character takes up to three bytes for each unit of JavaScript's. */
function checkNames(path: string): void {
  for (const name of path.split("/")) {
    const length = Buffer.byteLength(name);
    if (length > LONGEST_NAME) fail(path, `has a name of ${length} bytes, and ${LONGEST_NAME} is the most`);
  }
}

/** Most names are normal already, and this is asked for every entry. */
function isNormal(name: string): boolean {
  return name !== "" && !name.startsWith("/") && !name.endsWith("/") && !ODD.test(name);
}

/** A component that is empty, `.` or `..`. */
const ODD = /(?:^|\/)\.{0,2}(?:\/|$)/;

export function fail(name: string, why: string): never {
  const shown = name.length > 200 ? `${name.slice(0, 200)}...` : name;
  throw new SlipwayError("invalid", `archive entry '${shown}' ${why}`, {
    hint: "The archive is damaged or was made to do harm; nothing of it was kept.",
    details: { entry: shown },
  });
}
