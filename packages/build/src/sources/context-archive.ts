import { chmodSync, writeSync } from "node:fs";
import { errnoOf, errorMessage, isError, SlipwayError } from "@slipway/base";
import {
  chmodAt,
  closeFd,
  fdPath,
  linkAt,
  mkdirInRoot,
  O,
  openInRoot,
  symlinkAt,
  unlinkAt,
  utimesAt,
} from "@slipway/sys";
import { readTar, type TarEntry } from "@slipway/tar";
import { safePath } from "./archive-tree.ts";
import { decompress, sniffCompression } from "./decompress.ts";

/**
 * Unpacks the tar of a build context, compressed or not, into an empty directory. Owners are left out, as everything in a
 * context belongs to root. Whatever the archive says, nothing is written outside of the directory.
 */
export async function unpackContext(
  stream: ReadableStream<Uint8Array>,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  let name = "";
  try {
    for await (const entry of readTar(expanded(stream, signal))) {
      signal.throwIfAborted();
      name = entry.header.name;
      const path = safePath(name);
      if (path !== "") await unpackEntry(entry, root, path);
    }
  } catch (error) {
    throw clientsFault(error, name);
  }
}

/** What the kernel says when an archive contradicts itself: links to nothing, files below files, names without end. */
const IMPOSSIBLE = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
  "EEXIST",
  "EPERM",
  "EINVAL",
  "EXDEV",
]);

/** A damaged or contradictory archive is what the client sent, no failure of ours. */
function clientsFault(error: unknown, name: string): unknown {
  if (isError(error, "corrupt")) {
    return new SlipwayError("invalid", `the build context cannot be read: ${error.message}`, { cause: error });
  }
  if (!IMPOSSIBLE.has(errnoOf(error) ?? "")) return error;
  const words = /^E[A-Z0-9]+: ([^,]+),/.exec(errorMessage(error))?.[1] ?? errorMessage(error);
  const shown = JSON.stringify(name.slice(0, 200));
  return new SlipwayError("invalid", `the build context cannot be unpacked at ${shown}: ${words}`, { cause: error });
}

async function* expanded(stream: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = (stream as unknown as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  while (length < 6) {
    const { value, done } = await reader.next();
    if (done) break;
    head.push(value);
    length += value.length;
  }
  const first = Buffer.concat(head);
  const all = async function* () {
    yield first;
    for (let next = await reader.next(); !next.done; next = await reader.next()) yield next.value;
  };
  yield* decompress(all(), sniffCompression(first), signal);
}

async function unpackEntry({ header, content }: TarEntry, root: string, path: string): Promise<void> {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  if (header.type === "dir") return makeDirectory(root, path, header.mode);
  const parent = slash < 0 ? openInRoot(root, ".", O.PATH | O.DIRECTORY) : mkdirInRoot(root, path.slice(0, slash));
  try {
    switch (header.type) {
      case "file":
        await writeFile(parent, name, { mode: header.mode, content });
        break;
      case "symlink":
        removeOld(parent, name);
        symlinkAt(header.linkname, parent, name);
        break;
      case "link":
        linkInside(root, safePath(header.linkname), { parent, name });
        break;
      default:
        // A context has no use for devices and pipes.
        return;
    }
    utimesAt(parent, name, null, header.mtime);
  } finally {
    closeFd(parent);
  }
}

/** Through the descriptor: a link of that name in the archive must not lead the change of mode outside. */
function makeDirectory(root: string, path: string, mode: number): void {
  const fd = mkdirInRoot(root, path);
  try {
    chmodSync(fdPath(fd), mode);
  } finally {
    closeFd(fd);
  }
}

async function writeFile(
  parent: number,
  name: string,
  file: { readonly mode: number; readonly content: AsyncIterable<Uint8Array> },
): Promise<void> {
  removeOld(parent, name);
  const fd = openInRoot(parent, name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, file.mode);
  try {
    for await (const chunk of file.content) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
  } finally {
    closeFd(fd);
  }
  chmodAt(parent, name, file.mode);
}

function linkInside(root: string, target: string, place: { readonly parent: number; readonly name: string }): void {
  const fd = openInRoot(root, target, O.PATH | O.NOFOLLOW);
  try {
    removeOld(place.parent, place.name);
    const slash = target.lastIndexOf("/");
    const directory = openInRoot(root, slash < 0 ? "." : target.slice(0, slash), O.PATH | O.DIRECTORY);
    try {
      linkAt(directory, target.slice(slash + 1), place.parent, place.name);
    } finally {
      closeFd(directory);
    }
  } finally {
    closeFd(fd);
  }
}

function removeOld(parent: number, name: string): void {
  try {
    unlinkAt(parent, name);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return;
    if (code === "EISDIR")
      throw new SlipwayError("invalid", `the context's archive replaces the directory ${name} with a file`);
    throw error;
  }
}
