import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import type { FileContent, Lease, Store } from "@slipway/store";
import { type TarHeader, TarParser } from "@slipway/tar";
import { decompress, isTarHeader, sniffCompression } from "./decompress.ts";
import type { FileTree, TreeEntry } from "./file-tree.ts";

/** The compression of a file that ADD unpacks; undefined if it is no archive. */
export async function archiveCompression(path: string, signal: AbortSignal) {
  const head = readHead(path, 512);
  const compression = sniffCompression(head);
  if (compression === "none") return isTarHeader(head) ? compression : undefined;
  return isTarHeader(await firstBlock(path, compression, signal)) ? compression : undefined;
}

function readHead(path: string, length: number): Uint8Array {
  const fd = openSync(path, "r");
  try {
    const head = new Uint8Array(length);
    return head.subarray(0, readSync(fd, head));
  } finally {
    closeSync(fd);
  }
}

async function firstBlock(
  path: string,
  compression: ReturnType<typeof sniffCompression>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of decompress(createReadStream(path), compression, signal)) {
      parts.push(chunk);
      length += chunk.length;
      if (length >= 512) break;
    }
  } catch (error) {
    // A file that only looks compressed is copied as it is.
    if (error instanceof SlipwayError && error.code === "corrupt") return new Uint8Array();
    throw error;
  }
  return Buffer.concat(parts).subarray(0, 512);
}

/** An archive as ADD unpacks it. Its expanded bytes lie in the store as a blob, held by the lease, and files are parts of that. */
export class ArchiveTree implements FileTree {
  readonly identity: string;
  readonly #entries: ReadonlyMap<string, ArchiveEntry>;
  readonly #blob: Digest;

  constructor(blob: Digest, entries: ReadonlyMap<string, ArchiveEntry>) {
    this.#blob = blob;
    this.#entries = entries;
    this.identity = blob;
  }

  get entries(): Iterable<TreeEntry> {
    return this.#entries.values();
  }

  lstat(path: string): TreeEntry | undefined {
    return this.#entries.get(path);
  }

  at(path: string): TreeEntry | undefined {
    return this.#entries.get(path);
  }

  resolve(path: string): string {
    return path;
  }

  names(): readonly string[] {
    return [];
  }

  content(entry: TreeEntry): FileContent {
    const { offset, size } = entry as ArchiveEntry;
    return { from: "blob", digest: this.#blob, offset, size };
  }

  digests(): Promise<readonly string[]> {
    return Promise.reject(new SlipwayError("internal", "an archive's files are not described one by one"));
  }

  missing(path: string): SlipwayError {
    return new SlipwayError("not-found", `${path} is not in the archive`);
  }
}

interface ArchiveEntry extends TreeEntry {
  readonly offset: number;
}

/** Reads an archive into the store. Throws `invalid` for entries that would leave their directory. */
export async function openArchive(
  path: string,
  options: { readonly store: Store; readonly lease: Lease; readonly signal: AbortSignal },
): Promise<ArchiveTree> {
  const { store, lease, signal } = options;
  const compression = sniffCompression(readHead(path, 16));
  const writer = await store.blobs.ingest({ key: `archive ${path} ${Math.random()}`, lease });
  const index = new ArchiveIndex();
  try {
    for await (const chunk of decompress(createReadStream(path, { highWaterMark: 1024 * 1024 }), compression, signal)) {
      signal.throwIfAborted();
      index.push(chunk);
      await writer.write(chunk);
    }
    const entries = index.end();
    const { digest } = await writer.commit();
    return new ArchiveTree(digest, entries);
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

class ArchiveIndex {
  readonly #entries = new Map<string, ArchiveEntry>();
  readonly #parser: TarParser;
  #position = 0;
  #chunk: Uint8Array = new Uint8Array();
  #current: { readonly path: string; readonly header: TarHeader; offset: number } | undefined;

  constructor() {
    this.#parser = new TarParser({
      entry: (header) => this.#begin(header),
      data: (bytes) => {
        if (this.#current !== undefined && this.#current.offset < 0) {
          this.#current.offset = this.#position + bytes.byteOffset - this.#chunk.byteOffset;
        }
      },
      hole: () => {
        throw new SlipwayError("not-implemented", "archives with sparse files cannot be unpacked by ADD yet", {
          hint: "Unpack it in a RUN step with tar.",
        });
      },
      entryEnd: () => this.#finish(),
    });
  }

  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#parser.push(chunk);
    this.#position += chunk.length;
  }

  end(): ReadonlyMap<string, ArchiveEntry> {
    this.#parser.end();
    return this.#entries;
  }

  #begin(header: TarHeader): void {
    const path = safePath(header.name);
    this.#current = path === "" ? undefined : { path, header, offset: -1 };
    if (path !== "") this.#checkParents(path);
  }

  #finish(): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    const { path, header, offset } = current;
    const before = this.#entries.get(path);
    if (header.type === "dir" && before?.kind === "dir") this.#entries.delete(path);
    this.#entries.set(
      path,
      header.type === "link" ? this.#linked(path, header) : entryOf(path, header, Math.max(offset, 0)),
    );
  }

  /** What an archive puts below a link of its own would land wherever the link points. */
  #checkParents(path: string): void {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      const parent = this.#entries.get(path.slice(0, slash));
      if (parent === undefined || parent.kind === "dir") continue;
      throw new SlipwayError("invalid", `the archive puts ${path} below ${parent.path}, which is no directory in it`);
    }
  }

  #linked(path: string, header: TarHeader): ArchiveEntry {
    const target = safePath(header.linkname);
    const entry = this.#entries.get(target);
    if (entry === undefined || entry.kind === "dir") {
      throw new SlipwayError("invalid", `the archive links ${path} to ${header.linkname}, which is no file in it`);
    }
    const link = entry.link ?? target;
    this.#entries.set(target, { ...entry, link });
    return { ...entry, path, link };
  }
}

function entryOf(path: string, header: TarHeader, offset: number): ArchiveEntry {
  const { mode, uid, gid, mtime, type, linkname, devmajor, devminor, xattrs } = header;
  const kind = type === "link" ? "file" : type;
  return {
    path,
    kind,
    mode,
    uid,
    gid,
    mtime,
    offset,
    size: kind === "file" ? header.size : 0,
    ...(kind === "symlink" && { target: linkname }),
    ...((kind === "char" || kind === "block") && { major: devmajor, minor: devminor }),
    ...(xattrs.size > 0 && { xattrs }),
  };
}

/** A name below the archive's root; a leading slash or `./` means nothing. Throws `invalid` for `..`. */
export function safePath(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw new SlipwayError("invalid", `the archive has an entry outside of its directory: ${name}`);
  return parts.join("/");
}
