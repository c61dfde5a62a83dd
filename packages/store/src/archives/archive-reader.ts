import { createHash, type Hash, randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, unlinkSync } from "node:fs";
import { errorMessage, isError, SlipwayError } from "@slipway/base";
import type { Compression, DiffId, Digest, DigestAlgorithm } from "@slipway/oci";
import { type TarHeader, TarParser } from "@slipway/tar";
import { checkedPath, fail } from "../layers/layer-model.ts";
import { LayerReader } from "../layers/layer-reader.ts";
import { writeFully } from "../layers/tar-sink.ts";
import { sniffCompression } from "../workers/decompress.ts";
import type { TarFacts } from "../workers/jobs.ts";

/** What an image archive holds, by path. Nothing of it has been believed yet. */
export interface ArchiveContents {
  readonly files: ReadonlyMap<string, ArchiveFile>;
  /** Links inside the archive: old archives store a layer once and link to it. */
  readonly links: ReadonlyMap<string, string>;
}

export type ArchiveFile =
  /** Looks like JSON. */
  | { readonly kind: "document"; readonly bytes: Uint8Array }
  /** Written to a temporary file. */
  | {
      readonly kind: "blob";
      readonly temporary: string;
      readonly digest: Digest;
      readonly size: number;
      readonly compression: Compression | "unsupported";
      /** Of an uncompressed tar; absent if it is none, or not a good one. */
      readonly facts?: TarFacts;
      readonly problem?: string;
    }
  /** Its name says that we have it already, so it was skipped: what it really holds does not matter. */
  | { readonly kind: "known"; readonly digest: Digest };

/** No image has as many files; each costs memory. */
const MOST_FILES = 20_000;
/** One JSON document, as large as a manifest may be. */
const LARGEST_DOCUMENT = 8 * 1024 * 1024;
const MOST_DOCUMENT_BYTES = 64 * 1024 * 1024;
const SMALLEST_SKIPPED = 1024 * 1024;
const BLOB_NAME = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/;
/** The layers of podman's and skopeo's archives are named by their diff ID. */
const DIFF_NAME = /^([0-9a-f]{64})\.tar$/;

export interface ArchiveReaderOptions {
  readonly ingest: string;
  readonly blobs: string;
  /** Layers that need no tar, as they are here in some form. */
  readonly knownDiffs: ReadonlySet<string>;
  readonly onProgress: (id: string, current: number, total: number) => void;
}

/** Takes an image archive apart while it streams: each file is hashed, stored and, if it is a layer, checked in one pass. */
export class ArchiveReader {
  readonly #options: ArchiveReaderOptions;
  readonly #parser = new TarParser({
    entry: (header) => this.#entry(header),
    data: (bytes) => this.#sink?.write(bytes),
    entryEnd: () => this.#entryEnd(),
  });
  readonly #files = new Map<string, ArchiveFile>();
  readonly #links = new Map<string, string>();
  #documentBytes = 0;
  #path = "";
  #sink: FileSink | undefined;

  constructor(options: ArchiveReaderOptions) {
    this.#options = options;
  }

  push(bytes: Uint8Array): void {
    this.#parser.push(bytes);
  }

  end(): ArchiveContents {
    this.#parser.end();
    return { files: this.#files, links: this.#links };
  }

  /** Removes what was written, after a failure. */
  abandon(): void {
    this.#sink?.abandon();
    for (const file of this.#files.values()) if (file.kind === "blob") unlinkSync(file.temporary);
  }

  #entry(header: TarHeader): void {
    this.#sink = undefined;
    if (header.type === "dir") return;
    const path = checkedPath(header.name);
    if (this.#files.has(path) || this.#links.has(path)) fail(header.name, "appears twice");
    if (this.#files.size + this.#links.size >= MOST_FILES) {
      throw new SlipwayError("exhausted", `the archive has more than ${MOST_FILES} files`);
    }
    if (header.type === "symlink" || header.type === "link") this.#links.set(path, linkTarget(path, header));
    else if (header.type === "file") this.#file(path, header);
    else fail(header.name, "is a device or a pipe, which no image archive holds");
  }

  #file(path: string, header: TarHeader): void {
    this.#path = path;
    // Small ones may be documents, which are wanted.
    const known = header.size < SMALLEST_SKIPPED ? undefined : this.#known(path);
    if (known !== undefined) {
      this.#files.set(path, { kind: "known", digest: known });
      return;
    }
    const algorithm = (BLOB_NAME.exec(path)?.[1] ?? "sha256") as DigestAlgorithm;
    this.#sink = new FileSink(`${this.#options.ingest}/${randomBytes(8).toString("hex")}`, {
      algorithm,
      size: header.size,
      onProgress: (current) => this.#options.onProgress(path, current, header.size),
    });
  }

  #known(path: string): Digest | undefined {
    const hex = DIFF_NAME.exec(path)?.[1];
    const blob = BLOB_NAME.exec(path);
    const digest = hex !== undefined ? `sha256:${hex}` : blob ? `${blob[1]}:${blob[2]}` : undefined;
    if (digest === undefined) return undefined;
    const file = `${this.#options.blobs}/${digest.replace(":", "/")}`;
    return this.#options.knownDiffs.has(digest) || existsSync(file) ? (digest as Digest) : undefined;
  }

  #entryEnd(): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    this.#sink = undefined;
    const file = sink.finish();
    if (file.kind === "document" && (this.#documentBytes += file.bytes.length) > MOST_DOCUMENT_BYTES) {
      throw new SlipwayError(
        "exhausted",
        `the archive's documents have more than ${MOST_DOCUMENT_BYTES} bytes ('${this.#path}')`,
      );
    }
    this.#files.set(this.#path, file);
  }
}

function linkTarget(path: string, header: TarHeader): string {
  const { linkname, name, type } = header;
  if (linkname.startsWith("/")) fail(name, `links to the absolute path '${linkname}'`);
  const names = type === "symlink" ? path.split("/").slice(0, -1) : [];
  for (const part of linkname.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") names.push(part);
    else if (names.pop() === undefined) fail(name, `links to '${linkname}', outside of the archive`);
  }
  return names.join("/");
}

interface SinkOptions {
  readonly algorithm: DigestAlgorithm;
  readonly size: number;
  readonly onProgress: (current: number) => void;
}

/** How much of a file is seen before it is decided what it may be: a tar has a block at least. */
const HEAD = 512;
const PROGRESS_STEP = 4 * 1024 * 1024;

/** One file of the archive on its way to a temporary file, or to memory if it is a document. */
class FileSink {
  readonly #temporary: string;
  readonly #options: SinkOptions;
  readonly #hash: Hash;
  readonly #document: Uint8Array[] = [];
  #size = 0;
  #fd: number | undefined;
  #head = new Uint8Array(0);
  #kind: "unknown" | "document" | "blob" = "unknown";
  #compression: Compression | "unsupported" = "none";
  #layer: LayerCheck | undefined;
  #reported = 0;

  constructor(temporary: string, options: SinkOptions) {
    this.#temporary = temporary;
    this.#options = options;
    this.#hash = createHash(options.algorithm);
  }

  write(bytes: Uint8Array): void {
    this.#size += bytes.length;
    this.#hash.update(bytes);
    if (this.#kind === "unknown") {
      this.#head = Buffer.concat([this.#head, bytes]);
      if (this.#head.length >= Math.min(HEAD, this.#options.size)) this.#decide();
      return;
    }
    this.#put(bytes);
    if (this.#size - this.#reported < PROGRESS_STEP) return;
    this.#reported = this.#size;
    this.#options.onProgress(this.#size);
  }

  finish(): ArchiveFile {
    if (this.#kind === "unknown") this.#decide();
    if (this.#kind === "document") return { kind: "document", bytes: Buffer.concat(this.#document) };
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#options.onProgress(this.#size);
    const digest = `${this.#options.algorithm}:${this.#hash.digest("hex")}` as Digest;
    return {
      kind: "blob",
      temporary: this.#temporary,
      digest,
      size: this.#size,
      compression: this.#compression,
      ...this.#layer?.finish(digest, this.#size),
    };
  }

  abandon(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    unlinkSync(this.#temporary);
  }

  #decide(): void {
    const head = this.#head;
    if ((head[0] === 0x7b || head[0] === 0x5b) && this.#options.size <= LARGEST_DOCUMENT) {
      this.#kind = "document";
      this.#document.push(head);
      return;
    }
    this.#kind = "blob";
    try {
      this.#compression = sniffCompression(head);
    } catch {
      this.#compression = "unsupported";
    }
    if (this.#compression === "none" && head.length >= HEAD) this.#layer = new LayerCheck(this.#options.algorithm);
    this.#fd = openSync(this.#temporary, "wx", 0o644);
    this.#put(head);
  }

  #put(bytes: Uint8Array): void {
    if (this.#fd === undefined) {
      // The chunk belongs to the parser and is overwritten.
      this.#document.push(bytes.slice());
      return;
    }
    writeFully(this.#fd, bytes);
    this.#layer?.write(bytes);
  }
}

/**
 * Checks a file as a layer while it passes by. What is wrong with it is only noted: whether it is meant to be a layer, the
 * archive's documents say later.
 */
class LayerCheck {
  readonly #reader = new LayerReader();
  readonly #parser = new TarParser(this.#reader);
  /** The digest of the file is the diff ID, unless it is of another kind. */
  readonly #hash: Hash | undefined;
  #problem: string | undefined;

  constructor(algorithm: DigestAlgorithm) {
    this.#hash = algorithm === "sha256" ? undefined : createHash("sha256");
  }

  write(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    if (this.#problem === undefined) this.#try(() => this.#parser.push(bytes));
  }

  finish(digest: Digest, tarSize: number): { readonly facts?: TarFacts; readonly problem?: string } {
    if (this.#problem === undefined) this.#try(() => this.#parser.end());
    if (this.#problem !== undefined) return { problem: this.#problem };
    const diffId = (this.#hash === undefined ? digest : `sha256:${this.#hash.digest("hex")}`) as DiffId;
    return { facts: { ...this.#reader.finish(), diffId, tarSize } };
  }

  #try(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!isError(error)) throw error;
      this.#problem = errorMessage(error);
    }
  }
}
