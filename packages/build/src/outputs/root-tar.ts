import { createReadStream } from "node:fs";
import type { RootEntry, RootView } from "@slipway/store";
import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarHeader } from "@slipway/tar";

/** A root file system as one plain tar, in the order of its paths, with hard links inside it kept. */
export function rootTar(
  view: RootView,
  options: { readonly epoch?: number; readonly signal?: AbortSignal } = {},
): ReadableStream<Uint8Array> {
  const chunks = tarChunks(view, options);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}

const KINDS: Readonly<Partial<Record<RootEntry["kind"], TarHeader["type"]>>> = {
  dir: "dir",
  file: "file",
  symlink: "symlink",
  char: "char",
  block: "block",
  fifo: "fifo",
};

async function* tarChunks(
  view: RootView,
  options: { readonly epoch?: number; readonly signal?: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const links = new Map<string, string>();
  for (const path of walk(view, "")) {
    options.signal?.throwIfAborted();
    const entry = view.lstat(`/${path}`);
    const type = entry && KINDS[entry.kind];
    // Sockets have no place in an archive.
    if (entry === undefined || type === undefined) continue;
    const first = entry.kind === "file" && entry.nlink > 1 ? firstName(links, entry, path) : undefined;
    const header = headerOf(view, { path, entry, type, first, epoch: options.epoch });
    yield encodeTarHeader(header);
    if (header.type !== "file" || header.size === 0) continue;
    let sent = 0;
    for await (const chunk of createReadStream(entry.hostPath, { highWaterMark: 256 * 1024 })) {
      sent += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
    if (sent !== header.size) throw new Error(`${path} has ${sent} bytes, expected ${header.size}`);
    if (padding(sent) > 0) yield new Uint8Array(padding(sent));
  }
  yield END_OF_ARCHIVE;
}

function firstName(links: Map<string, string>, entry: RootEntry, path: string): string | undefined {
  // Layers are trees of one file system: the inode tells files apart, and shared inodes have the same content.
  const known = links.get(`${entry.ino}`);
  if (known === undefined) links.set(`${entry.ino}`, path);
  return known;
}

interface HeaderParts {
  readonly path: string;
  readonly entry: RootEntry;
  readonly type: TarHeader["type"];
  readonly first: string | undefined;
  readonly epoch: number | undefined;
}

function headerOf(view: RootView, { path, entry, type, first, epoch }: HeaderParts): TarHeader {
  const { mode, uid, gid, major, minor } = entry;
  const latest = epoch === undefined ? undefined : BigInt(epoch) * 1_000_000_000n;
  return {
    name: path,
    type: first === undefined ? type : "link",
    mode,
    uid,
    gid,
    uname: "",
    gname: "",
    size: type === "file" && first === undefined ? entry.size : 0,
    mtime: latest !== undefined && entry.mtime > latest ? latest : entry.mtime,
    linkname: first ?? (type === "symlink" ? view.readlink(`/${path}`) : ""),
    devmajor: major,
    devminor: minor,
    xattrs: type === "symlink" ? new Map() : view.xattrs(entry),
  };
}

function* walk(view: RootView, directory: string): Generator<string> {
  for (const name of view.readdir(`/${directory}`)) {
    const path = directory === "" ? name : `${directory}/${name}`;
    yield path;
    if (view.lstat(`/${path}`)?.kind === "dir") yield* walk(view, path);
  }
}
