import { closeSync, fchmodSync, fchownSync, readdirSync } from "node:fs";
import { type Duplex, pipeline, Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { errnoOf, errorMessage, isError, SlipwayError } from "@slipway/base";
import {
  chmodAt,
  chownAt,
  closeFd,
  type FileStat,
  fdPath,
  linkAt,
  lsetxattr,
  lstatAt,
  mkdirAt,
  mkdirInRoot,
  mknodAt,
  O,
  openAt,
  openInRoot,
  symlinkAt,
  unlinkAt,
  utimesAt,
  writeBehind,
} from "@slipway/sys";
import { readTar, type TarHeader } from "@slipway/tar";

const TYPE_BITS = { char: 0o020000, block: 0o060000, fifo: 0o010000 } as const;
/** Descriptors that removing a tree may hold: deeper trees are refused. */
const DEEPEST = 256;
/** What the kernel answers to names, links and attributes that make no sense where they are to go. */
const IMPOSSIBLE = new Set(
  "ENOENT ENOTDIR EISDIR ELOOP EINVAL ENAMETOOLONG EEXIST EMLINK EXDEV EPERM EOPNOTSUPP ENOTSUP E2BIG ERANGE".split(
    " ",
  ),
);

export interface ExtractOptions {
  /** Inside the root; must be a directory or a link to one. */
  readonly directory: string;
  /** Owners as the archive names them; otherwise everything belongs to root. */
  readonly keepOwners: boolean;
  /** A directory never gives way to something else, nor the other way round. */
  readonly noOverwriteDirNonDir: boolean;
  readonly signal: AbortSignal;
}

/**
 * Unpacks an archive, plain or compressed with gzip or zstd, below a directory of a container's root. Archive and root are
 * both hostile: names with `..` are refused, links in the root are followed inside it only, and what is written to is what
 * was made here. Throws `invalid`, `corrupt` for what is no tar, `forbidden` for what is read-only.
 */
export async function extractTree(
  root: number,
  tar: ReadableStream<Uint8Array>,
  options: ExtractOptions,
): Promise<void> {
  const writer = new Extraction(root, options);
  let entry = "";
  try {
    for await (const { header, content } of readTar(await expanded(tar))) {
      options.signal.throwIfAborted();
      entry = header.name;
      await writer.add(header, content);
    }
    writer.finish();
  } catch (error) {
    if (errnoOf(error) === "EROFS") {
      throw new SlipwayError("forbidden", "mounted volume is marked read-only", { cause: error });
    }
    // What the archive asks for cannot be had in this root: no failure of ours.
    if (IMPOSSIBLE.has(errnoOf(error) ?? "")) {
      const name = JSON.stringify(entry.slice(0, 200));
      throw new SlipwayError("invalid", `cannot unpack ${name}: ${kernelsWords(error)}`, { cause: error });
    }
    // What the client sent is damaged, nothing of ours.
    if (isError(error, "corrupt")) throw new SlipwayError("invalid", error.message, { cause: error });
    throw error;
  } finally {
    writer.close();
  }
}

/** "no such file or directory", of "ENOENT: no such file or directory, open 'x'". */
function kernelsWords(error: unknown): string {
  return /^E[A-Z0-9]+: ([^,]+),/.exec(errorMessage(error))?.[1] ?? errorMessage(error);
}

class Extraction {
  readonly #root: number;
  readonly #options: ExtractOptions;
  /** Times of directories come last: writing into them changes them. */
  readonly #directories: { readonly parent: string; readonly name: string; readonly mtime: bigint }[] = [];
  /** The directory of the last entry, which is often the next one's too. */
  #parent: { readonly path: string; readonly fd: number } | undefined;

  constructor(root: number, options: ExtractOptions) {
    this.#root = root;
    this.#options = options;
  }

  async add(header: TarHeader, content: AsyncIterable<Uint8Array>): Promise<void> {
    const steps = stepsOf(header.name, header.name);
    const name = steps.pop();
    // The directory itself keeps what it has.
    if (name === undefined) return;
    const parent = this.#enter(steps);
    const existing = lstatAt(parent, name);
    if (existing !== undefined) this.#giveWay(parent, { name, existing, header });
    if (header.type === "link") {
      this.#link(parent, name, header);
      return;
    }
    if (header.type === "file") {
      await this.#file(parent, { name, header }, content);
    } else {
      this.#make(parent, { name, header, exists: existing?.kind === "dir" });
      this.#own(parent, name, header);
      if (header.type !== "symlink") this.#finishMode(parent, name, header);
    }
    setAttributes(fdPath(parent, name), header);
    if (header.type === "dir") {
      this.#directories.push({ parent: steps.join("/"), name, mtime: header.mtime });
    } else {
      utimesAt(parent, name, header.mtime, header.mtime);
    }
  }

  finish(): void {
    for (const { parent, name, mtime } of this.#directories.reverse()) {
      const fd = this.#enter(parent.split("/").filter(Boolean));
      // A later entry may have put something else there.
      if (lstatAt(fd, name)?.kind === "dir") utimesAt(fd, name, mtime, mtime);
    }
  }

  close(): void {
    if (this.#parent !== undefined) closeFd(this.#parent.fd);
    this.#parent = undefined;
  }

  /** The directory of an entry, made when it is missing. */
  #enter(steps: readonly string[]): number {
    const path = `${this.#options.directory}/${steps.join("/")}`;
    if (this.#parent?.path === path) return this.#parent.fd;
    const fd = mkdirInRoot(this.#root, path);
    this.close();
    this.#parent = { path, fd };
    return fd;
  }

  #giveWay(
    parent: number,
    { name, existing, header }: { readonly name: string; readonly existing: FileStat; readonly header: TarHeader },
  ): void {
    const [was, becomes] = [existing.kind === "dir", header.type === "dir"];
    if (was && becomes) return;
    if (was !== becomes && this.#options.noOverwriteDirNonDir) {
      const [old, young] = was ? ["directory", "non-directory"] : ["non-directory", "directory"];
      throw new SlipwayError("invalid", `cannot overwrite ${old} "${header.name}" with ${young}`);
    }
    removeAt(parent, name);
    // It may have been the parent of the last entry.
    if (was && this.#parent !== undefined && this.#parent.fd !== parent) this.close();
  }

  #make(
    parent: number,
    { name, header, exists }: { readonly name: string; readonly header: TarHeader; readonly exists: boolean },
  ): void {
    switch (header.type) {
      case "dir":
        if (!exists) mkdirAt(parent, name, 0o700);
        return;
      case "symlink":
        symlinkAt(header.linkname, parent, name);
        return;
      case "char":
      case "block":
      case "fifo":
        mknodAt(parent, name, TYPE_BITS[header.type] | 0o600, { major: header.devmajor, minor: header.devminor });
        return;
    }
  }

  #link(parent: number, name: string, header: TarHeader): void {
    const steps = stepsOf(header.linkname, header.name);
    const target = steps.pop();
    if (target === undefined) throw new SlipwayError("invalid", `'${header.name}' links to the directory itself`);
    const from = openInRoot(this.#root, `${this.#options.directory}/${steps.join("/")}`, O.PATH | O.DIRECTORY);
    try {
      linkAt(from, target, parent, name);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      throw new SlipwayError("invalid", `'${header.name}' links to '${header.linkname}', which does not exist`, {
        cause: error,
      });
    } finally {
      closeFd(from);
    }
  }

  /** Everything through the descriptor: a container's process cannot put something else in the file's place. */
  async #file(
    parent: number,
    { name, header }: { readonly name: string; readonly header: TarHeader },
    content: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const fd = openAt(parent, name, O.WRONLY | O.CREAT | O.EXCL, 0o600);
    try {
      await writeBehind(fd, content);
      const { uid, gid } = this.#ownerOf(header);
      fchownSync(fd, uid, gid);
      fchmodSync(fd, header.mode & 0o7777);
    } finally {
      closeSync(fd);
    }
  }

  #ownerOf(header: TarHeader): { readonly uid: number; readonly gid: number } {
    return this.#options.keepOwners ? { uid: header.uid, gid: header.gid } : { uid: 0, gid: 0 };
  }

  #own(parent: number, name: string, header: TarHeader): void {
    const { uid, gid } = this.#ownerOf(header);
    chownAt(parent, name, uid, gid);
  }

  /** Of a directory through its descriptor, for a link may have taken its place; others are opened for nothing but this. */
  #finishMode(parent: number, name: string, header: TarHeader): void {
    const fd = openAt(parent, name, O.PATH);
    try {
      const kind = lstatAt(parent, name)?.kind;
      if (kind === "symlink" || kind === undefined) return;
      chmodAt(-100, fdPath(fd), header.mode & 0o7777);
    } finally {
      closeFd(fd);
    }
  }
}

/** The components of a name. Throws `invalid` for one that leads out. */
function stepsOf(path: string, entry: string): string[] {
  const steps = path.split("/").filter((step) => step !== "" && step !== ".");
  if (steps.includes("..")) {
    throw new SlipwayError("invalid", `archive entry ${JSON.stringify(entry)} leads out of the directory`, {
      hint: "Names in an archive must not contain '..'.",
    });
  }
  return steps;
}

/** Removes whatever is there, never following a link, never by a path that somebody could change. */
function removeAt(directory: number, name: string, depth = 0): void {
  if (depth > DEEPEST) throw new SlipwayError("invalid", `the directory ${name} is too deep to be replaced`);
  try {
    unlinkAt(directory, name);
    return;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    if (errnoOf(error) !== "EISDIR" && errnoOf(error) !== "EPERM") throw error;
  }
  const fd = openAt(directory, name, O.RDONLY | O.DIRECTORY);
  try {
    for (const child of readdirSync(fdPath(fd))) removeAt(fd, child, depth + 1);
  } finally {
    closeFd(fd);
  }
  unlinkAt(directory, name, { directory: true });
}

function setAttributes(path: string, header: TarHeader): void {
  for (const [name, value] of header.xattrs) {
    // overlayfs' own marks would make the archive's author the master of what lies below.
    const known = name === "security.capability" || name.startsWith("system.posix_acl_") || name.startsWith("user.");
    if (!known || name.startsWith("user.overlay.")) continue;
    try {
      lsetxattr(path, name, value);
    } catch (error) {
      if (!["EOPNOTSUPP", "ENOTSUP", "EPERM"].includes(errnoOf(error) ?? "")) throw error;
    }
  }
}

/** The archive without its compression, which its first bytes tell. */
async function expanded(tar: ReadableStream<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = (tar as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < 6) {
    const { done, value } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const whole = rest(head, iterator);
  const begins = (...magic: number[]) => magic.every((byte, index) => head[index] === byte);
  if (begins(0x1f, 0x8b)) return through(whole, createGunzip());
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return through(whole, createZstdDecompress());
  if (begins(0x42, 0x5a, 0x68) || begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)) {
    throw new SlipwayError("invalid", "the archive is compressed with bzip2 or xz, which is not supported", {
      hint: "Decompress it first, or compress it with gzip or zstd.",
    });
  }
  return whole;
}

/** Failures of either side reach the reader; a reader that leaves early ends both. */
function through(source: AsyncIterable<Uint8Array>, decompressor: Duplex): AsyncIterable<Uint8Array> {
  pipeline(Readable.from(source), decompressor, () => {});
  return decompressor as AsyncIterable<Uint8Array>;
}

async function* rest(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (head.length > 0) yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
