import { type BigIntStats, createReadStream, lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarEntryType } from "@slipway/tar";

/** A file or a tree of this machine as a tar, under another name. `follow` counts for the first entry only. */
export async function* localTar(
  source: string,
  name: string,
  options: { readonly follow: boolean },
): AsyncGenerator<Uint8Array, void, undefined> {
  const info = options.follow ? statSync(source, { bigint: true }) : lstatSync(source, { bigint: true });
  yield* entry(source, name, info);
  yield END_OF_ARCHIVE;
}

async function* entry(path: string, name: string, info: BigIntStats): AsyncGenerator<Uint8Array, void, undefined> {
  if (info.isDirectory()) {
    yield header(name, "dir", info);
    for (const child of readdirSync(path).sort()) {
      const below = `${path}/${child}`;
      yield* entry(below, `${name}/${child}`, lstatSync(below, { bigint: true }));
    }
  } else if (info.isSymbolicLink()) {
    yield header(name, "symlink", info, readlinkSync(path));
  } else if (info.isFile()) {
    yield* file(path, name, info);
  } else if (info.isFIFO()) {
    yield header(name, "fifo", info);
  }
}

async function* file(path: string, name: string, info: BigIntStats): AsyncGenerator<Uint8Array, void, undefined> {
  const size = Number(info.size);
  yield header(name, "file", info);
  let sent = 0;
  if (size > 0) {
    const stream = createReadStream(path, { end: size - 1, highWaterMark: 1024 * 1024 });
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      sent += chunk.length;
      yield chunk;
    }
  }
  // The header has promised a size: a file that shrinks meanwhile must not shift all that follows.
  if (sent < size) throw new Error(`${path} became shorter while it was sent`);
  if (padding(size) > 0) yield new Uint8Array(padding(size));
}

function header(name: string, type: TarEntryType, info: BigIntStats, linkname = ""): Uint8Array {
  return encodeTarHeader({
    name,
    type,
    mode: Number(info.mode) & 0o7777,
    uid: Number(info.uid),
    gid: Number(info.gid),
    size: type === "file" ? Number(info.size) : 0,
    mtime: info.mtimeNs,
    linkname,
  });
}
