import { createReadStream, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { IgnoreMatcher, ignoreFileCandidates, parseIgnoreFile } from "@slipway/dockerfile";
import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarEntryType } from "@slipway/tar";
import type { DockerfileSource } from "./context.ts";

/** Where a Dockerfile lies in the tar when it is not one of the context's files. */
export const SENT_DOCKERFILE = ".slipway-dockerfile";

/** The files of a context as a tar, without what its ignore file hides. */
export async function* contextTar(root: string, dockerfile: DockerfileSource): AsyncIterable<Uint8Array> {
  const named = "path" in dockerfile ? dockerfile.path : undefined;
  const matcher = readIgnoreFile(root, named);
  yield* directory(root, "", { matcher, keep: named });
  if ("text" in dockerfile) {
    const bytes = Buffer.from(dockerfile.text);
    yield encodeTarHeader({ name: SENT_DOCKERFILE, type: "file", mode: 0o644, size: bytes.length });
    yield bytes;
    yield new Uint8Array(padding(bytes.length));
  }
  yield END_OF_ARCHIVE;
}

interface Selection {
  readonly matcher: IgnoreMatcher | undefined;
  /** The Dockerfile: the engine needs it also when it is ignored. */
  readonly keep: string | undefined;
}

async function* directory(root: string, path: string, selection: Selection): AsyncIterable<Uint8Array> {
  for (const entry of readdirSync(join(root, path)).sort()) {
    const name = path === "" ? entry : `${path}/${entry}`;
    const ignored = selection.matcher?.ignores(name) === true && name !== selection.keep;
    const info = lstatSync(join(root, name), { bigint: true });
    if (info.isDirectory()) {
      if (!ignored) yield header(name, "dir", info);
      // Below an ignored folder an exception may bring files back.
      if (ignored && selection.matcher?.canPrune(name) === true) continue;
      yield* directory(root, name, selection);
      continue;
    }
    if (ignored) continue;
    if (info.isSymbolicLink()) yield header(name, "symlink", info, readlinkSync(join(root, name)));
    else if (info.isFile()) yield* file(root, name, info);
  }
}

async function* file(root: string, name: string, info: Info): AsyncIterable<Uint8Array> {
  const size = Number(info.size);
  yield header(name, "file", info);
  let sent = 0;
  if (size > 0) {
    for await (const chunk of createReadStream(join(root, name), { end: size - 1 }) as AsyncIterable<Buffer>) {
      sent += chunk.length;
      yield chunk;
    }
  }
  // The header has promised a size: a file that shrinks meanwhile must not shift all that follows.
  if (sent < size) throw new Error(`${name} became shorter while it was sent`);
  yield new Uint8Array(padding(size));
}

interface Info {
  readonly mode: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

function header(name: string, type: TarEntryType, info: Info, linkname = ""): Uint8Array {
  return encodeTarHeader({
    name,
    type,
    mode: Number(info.mode) & 0o7777,
    size: type === "file" ? Number(info.size) : 0,
    mtime: info.mtimeNs,
    linkname,
  });
}

function readIgnoreFile(root: string, dockerfile: string | undefined): IgnoreMatcher | undefined {
  for (const candidate of ignoreFileCandidates(dockerfile ?? "Dockerfile")) {
    try {
      return new IgnoreMatcher(parseIgnoreFile(readFileSync(join(root, candidate), "utf8")));
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ENOENT") throw error;
    }
  }
  return undefined;
}
