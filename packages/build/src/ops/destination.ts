import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";
import type { RootView } from "@slipway/store";
import type { SelectedSource } from "./selection.ts";

/**
 * What a copy needs to know of the root that it changes. A layer of copied files depends on nothing else below it, so
 * that the same layer serves every root with the same facts.
 */
export interface DestinationFacts {
  /** Absolute, links resolved, no trailing slash (`/` is ""). */
  readonly target: string;
  readonly kind: "dir" | "other" | "missing";
  /** The directories from the root to the target's parent, and the target if it is one, as far as they exist. */
  readonly directories: readonly DirectoryFact[];
}

export interface DirectoryFact {
  /** Relative, as in layer entries. */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

/** Throws `invalid` when something on the way to the destination is no directory. */
export function destinationFacts(view: RootView, destination: string): DestinationFacts {
  const target = view.resolve(destination).replace(/\/$/, "");
  const directories: DirectoryFact[] = [];
  const names = target.split("/").slice(1);
  let path = "";
  for (const [index, name] of names.entries()) {
    path = path === "" ? name : `${path}/${name}`;
    const entry = view.lstat(`/${path}`);
    if (entry === undefined) return { target, kind: "missing", directories };
    if (entry.kind !== "dir") {
      if (index < names.length - 1 || destination.endsWith("/")) {
        throw new SlipwayError("invalid", `cannot copy to non-directory: /${path}`, {
          hint: "It is a file in the image so far; choose another destination.",
        });
      }
      return { target, kind: "other", directories };
    }
    const xattrs = view.xattrs(entry);
    const { mode, uid, gid } = entry;
    directories.push({ path, mode, uid, gid, ...(xattrs.size > 0 && { xattrs }) });
  }
  return { target, kind: "dir", directories };
}

/** The facts as text, for keys. */
export function factsKey(facts: DestinationFacts): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([facts.target, facts.kind]));
  for (const { path, mode, uid, gid, xattrs } of facts.directories) {
    hash.update(JSON.stringify([path, mode, uid, gid]));
    for (const [name, value] of xattrs ?? []) hash.update(name).update(value);
  }
  return hash.digest("hex");
}

/** What is copied must not put a directory where the root has a file, nor the other way round. Throws `invalid`. */
export function checkConflicts(
  view: RootView,
  placed: readonly { readonly base: string; readonly source: SelectedSource }[],
): void {
  for (const { base, source } of placed) {
    // Below a directory that the root does not have, nothing can be in the way.
    let absent: string | undefined;
    for (const { path, entry } of source.items) {
      if (absent !== undefined && path.startsWith(absent)) continue;
      const full = [base, path].filter((part) => part !== "").join("/");
      const there = view.lstat(`/${full}`);
      if (there === undefined) {
        if (entry.kind === "dir") absent = `${path}/`;
        continue;
      }
      if (entry.kind === "dir" && there.kind !== "dir") {
        throw new SlipwayError("invalid", `cannot copy to non-directory: /${full}`, {
          hint: "The image so far has a file there, and a directory is to be copied.",
        });
      }
      if (entry.kind !== "dir" && there.kind === "dir") {
        throw new SlipwayError("invalid", `cannot replace directory /${full} with a file`, {
          hint: "The image so far has a directory there, and a file is to be copied.",
        });
      }
    }
  }
}
