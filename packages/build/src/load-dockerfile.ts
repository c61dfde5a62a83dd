import { readdirSync } from "node:fs";
import { posix, relative } from "node:path";
import { nearest, SlipwayError } from "@slipway/base";
import { type Dockerfile, parseDockerfile } from "@slipway/dockerfile";
import type { BuildRequest } from "./faces.ts";
import { readInContext } from "./sources/ignore-rules.ts";

export interface LoadedDockerfile {
  readonly dockerfile: Dockerfile;
  /** Its path in the context, if it could lie there: its own ignore file is beside it. */
  readonly path: string | undefined;
}

/** Reads and parses the build's Dockerfile. Throws `not-found` or `invalid`. */
export function loadDockerfile(root: string, source: BuildRequest["dockerfile"]): LoadedDockerfile {
  if ("text" in source) {
    const inside = posix.isAbsolute(source.name) || source.name.startsWith("..") ? undefined : source.name;
    return { dockerfile: parseDockerfile(source.text, { file: source.name }), path: inside };
  }
  const path = posix.isAbsolute(source.path) ? relative(root, source.path) : posix.normalize(source.path);
  const bytes = readInContext(root, path);
  if (bytes !== undefined) return { dockerfile: parseDockerfile(bytes, { file: path }), path };
  const near = nearest(posix.basename(path), namesIn(root, posix.dirname(path)));
  throw new SlipwayError("not-found", `failed to read dockerfile: open ${path}: no such file or directory in ${root}`, {
    hint: near === undefined ? "Name it with -f." : `Did you mean -f ${posix.join(posix.dirname(path), near)}?`,
  });
}

function namesIn(root: string, directory: string): string[] {
  if (directory.startsWith("..")) return [];
  try {
    return readdirSync(posix.join(root, directory));
  } catch {
    return [];
  }
}
