import { readFileSync } from "node:fs";
import { errnoOf, SlipwayError } from "@slipway/base";
import { IgnoreMatcher, ignoreFileCandidates, parseIgnoreFile } from "@slipway/dockerfile";
import { closeFd, O, openInRoot } from "@slipway/sys";

const DOCKERFILE_LIMIT = 16 * 1024 * 1024;

/** The ignore rules of a context: from the file that belongs to the Dockerfile, or else the general one. */
export function readIgnoreRules(root: string, dockerfilePath: string | undefined): IgnoreMatcher {
  const candidates = dockerfilePath === undefined ? [".dockerignore"] : ignoreFileCandidates(dockerfilePath);
  for (const name of candidates) {
    const bytes = readInContext(root, name);
    if (bytes !== undefined) return new IgnoreMatcher(parseIgnoreFile(bytes, name));
  }
  return new IgnoreMatcher([]);
}

/** A file of a context, never one outside of it; undefined if there is none. */
export function readInContext(root: string, path: string): Uint8Array | undefined {
  let fd: number;
  try {
    fd = openInRoot(root, path, O.RDONLY | O.NONBLOCK);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw error;
  }
  try {
    const bytes = readFileSync(fd);
    if (bytes.length > DOCKERFILE_LIMIT) {
      throw new SlipwayError("exhausted", `${path} has ${bytes.length} bytes, over the limit of ${DOCKERFILE_LIMIT}`);
    }
    return bytes;
  } finally {
    closeFd(fd);
  }
}
