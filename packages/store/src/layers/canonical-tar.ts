import { closeSync, constants, openSync, readSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { DiffId, Digest } from "@slipway/oci";
import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarHeader } from "@slipway/tar";
import type { FileContent, LayerEntry } from "../faces.ts";
import { baseOf, parentOf } from "./layer-entries.ts";
import type { TarSink } from "./tar-sink.ts";
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from "./whiteout.ts";

export interface TarSummary {
  readonly diffId: DiffId;
  /** Bytes of the tar. */
  readonly tarSize: number;
  /** Bytes of the files in it. */
  readonly size: number;
}

export interface TarOptions {
  /** Opens a blob for `FileContent {from: "blob"}`; the writer closes it. */
  readonly openBlob?: (digest: Digest) => number;
  /** Told where each file's content begins. */
  readonly onFile?: (path: string, offset: number, size: number) => void;
  /** Sees a file's bytes as they pass; asked for each file. */
  readonly tee?: (entry: LayerEntry) => ((bytes: Uint8Array) => void) | undefined;
}

/** Writes entries that are in canonical order as the canonical tar. The same entries always give the same bytes. */
export function writeTar(entries: Iterable<LayerEntry>, sink: TarSink, options: TarOptions = {}): TarSummary {
  const content = new ContentReader(sink, options);
  let size = 0;
  try {
    for (const entry of entries) {
      sink.append(encodeTarHeader(headerOf(entry)));
      if (entry.kind === "file") {
        options.onFile?.(
          entry.path,
          sink.position,
          entry.content.from === "bytes" ? entry.content.bytes.length : entry.content.size,
        );
        size += content.append(entry.content, options.tee?.(entry));
      } else if (entry.kind === "dir" && entry.opaque === true) {
        sink.append(
          encodeTarHeader(markerHeader(entry.path === "" ? OPAQUE_MARKER : `${entry.path}/${OPAQUE_MARKER}`)),
        );
      }
    }
  } finally {
    content.close();
  }
  sink.append(END_OF_ARCHIVE);
  const { digest, size: tarSize } = sink.end();
  return { diffId: digest as DiffId, tarSize, size };
}

/** Bytes of an earlier tar that are read at once. */
const WINDOW = 512 * 1024;

/** Puts the content of files into a tar, keeping blobs open between files. */
class ContentReader {
  readonly #sink: TarSink;
  readonly #options: TarOptions;
  readonly #blobs = new Map<Digest, number>();
  #window = new Uint8Array(0);
  #windowOf: Digest | undefined;
  #windowStart = 0;
  #windowSize = 0;

  constructor(sink: TarSink, options: TarOptions) {
    this.#sink = sink;
    this.#options = options;
  }

  append(content: FileContent, tee: ((bytes: Uint8Array) => void) | undefined): number {
    if (content.from === "bytes") {
      tee?.(content.bytes);
      this.#sink.append(content.bytes);
      this.#sink.zeros(padding(content.bytes.length));
      return content.bytes.length;
    }
    const { size } = content;
    if (content.from === "blob") {
      this.#appendRange(content, tee);
    } else if (size > 0 || content.from === "host") {
      const fd = openRegular(content.path);
      try {
        const exact = content.from === "host";
        this.#sink.appendFile(fd, size, { path: content.path, exact, ...(tee && { tee }) });
      } finally {
        closeSync(fd);
      }
    }
    this.#sink.zeros(padding(size));
    return size;
  }

  /** Files that are taken over from an earlier tar lie there in much the same order: most are in what was read last. */
  #appendRange(content: Extract<FileContent, { from: "blob" }>, tee: ((bytes: Uint8Array) => void) | undefined): void {
    const { digest, offset, size } = content;
    const fd = this.#blob(digest);
    if (size > WINDOW / 4) {
      this.#sink.appendFile(fd, size, { path: `blob ${digest}`, position: offset, ...(tee && { tee }) });
      return;
    }
    const end = this.#windowStart + this.#windowSize;
    if (this.#windowOf !== digest || offset < this.#windowStart || offset + size > end) {
      if (this.#window.length === 0) this.#window = new Uint8Array(WINDOW);
      this.#windowSize = readSync(fd, this.#window, 0, WINDOW, offset);
      this.#windowOf = digest;
      this.#windowStart = offset;
      if (this.#windowSize < size)
        throw new SlipwayError("invalid", `blob ${digest} ends before byte ${offset + size}`);
    }
    const start = offset - this.#windowStart;
    const bytes = this.#window.subarray(start, start + size);
    tee?.(bytes);
    this.#sink.append(bytes);
  }

  #blob(digest: Digest): number {
    const known = this.#blobs.get(digest);
    if (known !== undefined) return known;
    const fd = this.#options.openBlob?.(digest);
    if (fd === undefined) throw new SlipwayError("not-found", `no blob ${digest}`);
    this.#blobs.set(digest, fd);
    return fd;
  }

  close(): void {
    for (const fd of this.#blobs.values()) closeSync(fd);
  }
}

/** Neither a link that was put in the file's place nor a FIFO without a writer may lead us astray. */
function openRegular(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
const BLANK = {
  mode: 0,
  uid: 0,
  gid: 0,
  uname: "",
  gname: "",
  size: 0,
  mtime: 0n,
  linkname: "",
  devmajor: 0,
  devminor: 0,
  xattrs: NO_XATTRS,
} as const;

function markerHeader(name: string): TarHeader {
  return { ...BLANK, name, type: "file" };
}

function headerOf(entry: LayerEntry): TarHeader {
  if (entry.kind === "whiteout") {
    const parent = parentOf(entry.path);
    return markerHeader(`${parent === "" ? "" : `${parent}/`}${WHITEOUT_PREFIX}${baseOf(entry.path)}`);
  }
  const { kind, path, mode, uid, gid, mtime } = entry;
  const isDevice = kind === "char" || kind === "block";
  return {
    name: path === "" ? "." : path,
    type: kind,
    mode,
    uid,
    gid,
    uname: "",
    gname: "",
    size: kind === "file" ? (entry.content.from === "bytes" ? entry.content.bytes.length : entry.content.size) : 0,
    mtime,
    linkname: kind === "symlink" || kind === "link" ? entry.target : "",
    devmajor: isDevice ? entry.major : 0,
    devminor: isDevice ? entry.minor : 0,
    // A link is its target; saying the attributes twice would only make readers set them twice.
    xattrs: kind === "link" ? NO_XATTRS : (entry.xattrs ?? NO_XATTRS),
  };
}
