import { closeSync, openSync, read, readdirSync } from "node:fs";
import { promisify } from "node:util";
import { errnoOf, SlipwayError } from "@slipway/base";
import {
  closeFd,
  type FileStat,
  fdPath,
  fstatNs,
  lstatAt,
  O,
  openAt,
  openInRoot,
  readlinkAt,
  readXattrs,
} from "@slipway/sys";
import { END_OF_ARCHIVE, encodeTarHeader, padding, type TarHeaderInput } from "@slipway/tar";

const readAsync = promisify(read);
/** Bytes that are handed on together. */
const BATCH = 256 * 1024;
const CHUNK = 1024 * 1024;
/** File systems of the kernel: their files have no size and some never end. */
const KERNEL_TREES = new Set(["/proc", "/sys", "/dev"]);

export interface TreeTarOptions {
  /** Directory inside the root, resolved; what is named lies in it. */
  readonly directory: string;
  /** Only this entry of the directory; without it, the directory itself and all in it. */
  readonly entry?: string;
  /** The first component of all names; empty leaves the directory itself out. */
  readonly name: string;
  /** Leave out what the kernel shows of itself. */
  readonly live: boolean;
}

/**
 * A tar of a part of a container's root. Whatever its processes do meanwhile, nothing outside is read: directories are
 * opened inside the root, files by the descriptor that was looked at.
 */
export async function* tarOfTree(root: number, options: TreeTarOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const tree = new TreeTar(root, options);
  yield* tree.run();
}

interface Place {
  /** Inside the root. */
  readonly path: string;
  /** In the archive. */
  readonly name: string;
}

class TreeTar {
  readonly #root: number;
  readonly #options: TreeTarOptions;
  readonly #device: number;
  /** The first name of each file that has several. */
  readonly #links = new Map<string, string>();
  #parts: Uint8Array[] = [];
  #size = 0;

  constructor(root: number, options: TreeTarOptions) {
    this.#root = root;
    this.#options = options;
    this.#device = fstatNs(root).dev;
  }

  async *run(): AsyncGenerator<Uint8Array, void, undefined> {
    const { directory, entry, name } = this.#options;
    if (entry !== undefined) {
      const fd = openInRoot(this.#root, directory, O.PATH | O.DIRECTORY);
      try {
        yield* this.#entry(fd, entry, { path: `${directory}/${entry}`, name });
      } finally {
        closeFd(fd);
      }
    } else {
      const pending: Place[] = [{ path: directory, name }];
      for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
        yield* this.#directory(next, pending);
      }
    }
    this.#add(END_OF_ARCHIVE);
    yield* this.#flush();
  }

  /** The header of a directory comes with its parent's entries, but for the first. */
  async *#directory(place: Place, pending: Place[]): AsyncGenerator<Uint8Array, void, undefined> {
    let fd: number;
    try {
      fd = openInRoot(this.#root, place.path, O.RDONLY | O.DIRECTORY);
    } catch (error) {
      if (isGone(error) && place.path !== this.#options.directory) return;
      throw error;
    }
    try {
      if (place.path === this.#options.directory && place.name !== "") {
        this.#header(fdPath(fd, "."), { name: place.name, type: "dir", ...metadata(fstatNs(fd)) });
      }
      const below: Place[] = [];
      for (const child of readdirSync(fdPath(fd)).sort()) {
        const prefix = place.path.endsWith("/") ? place.path : `${place.path}/`;
        const name = place.name === "" || place.name.endsWith("/") ? place.name + child : `${place.name}/${child}`;
        const at = { path: prefix + child, name };
        const stat = yield* this.#entry(fd, child, at);
        if (stat?.kind === "dir" && !this.#isKernelTree(at.path, stat)) below.push(at);
      }
      pending.push(...below.reverse());
    } finally {
      closeFd(fd);
    }
  }

  #isKernelTree(path: string, stat: FileStat): boolean {
    return this.#options.live && stat.dev !== this.#device && KERNEL_TREES.has(path);
  }

  async *#entry(
    directory: number,
    child: string,
    { name }: Place,
  ): AsyncGenerator<Uint8Array, FileStat | undefined, undefined> {
    const stat = lstatAt(directory, child);
    if (stat === undefined || stat.kind === "socket") return stat;
    const path = fdPath(directory, child);
    const common = metadata(stat);
    if (stat.kind !== "dir" && stat.nlink > 1) {
      const inode = `${stat.dev}:${stat.ino}`;
      const first = this.#links.get(inode);
      if (first !== undefined) {
        this.#header(path, { name, type: "link", linkname: first, ...common });
        return stat;
      }
      this.#links.set(inode, name);
    }
    switch (stat.kind) {
      case "file":
        yield* this.#file(directory, child, name);
        break;
      case "symlink":
        this.#header(path, { name, type: "symlink", linkname: readlinkAt(directory, child), ...common });
        break;
      case "char":
      case "block":
        this.#header(path, { name, type: stat.kind, devmajor: stat.major, devminor: stat.minor, ...common });
        break;
      default:
        this.#header(path, { name, type: stat.kind, ...common });
    }
    if (this.#size >= BATCH) {
      yield* this.#flush();
      await breathe();
    }
    return stat;
  }

  /** What is opened is what was looked at: a path only names it, and a device or a pipe is never opened. */
  async *#file(directory: number, child: string, name: string): AsyncGenerator<Uint8Array, void, undefined> {
    let place: number;
    try {
      place = openAt(directory, child, O.PATH);
    } catch (error) {
      if (isGone(error)) return;
      throw error;
    }
    let fd: number;
    let stat: FileStat;
    try {
      stat = fstatNs(place);
      if (stat.kind !== "file") return;
      fd = openSync(fdPath(place), "r");
    } finally {
      closeFd(place);
    }
    try {
      this.#header(fdPath(directory, child), { name, type: "file", ...metadata(stat), size: stat.size });
      yield* this.#content(fd, stat.size, name);
      this.#add(new Uint8Array(padding(stat.size)));
    } finally {
      closeSync(fd);
    }
  }

  /** Exactly the promised bytes: a file that grows is cut, one that shrinks ends the archive. Read while the client takes. */
  async *#content(fd: number, size: number, name: string): AsyncGenerator<Uint8Array, void, undefined> {
    let left = size;
    const readNext = () => {
      const buffer = Buffer.allocUnsafe(Math.min(left, CHUNK));
      return readAsync(fd, buffer, 0, buffer.length, null);
    };
    let next = left > 0 ? readNext() : undefined;
    try {
      while (next !== undefined) {
        const { bytesRead, buffer } = await next;
        next = undefined;
        if (bytesRead === 0) throw new SlipwayError("conflict", `${name} became shorter while it was read`);
        left -= bytesRead;
        if (left > 0) next = readNext();
        this.#add(buffer.subarray(0, bytesRead));
        if (this.#size >= BATCH) yield* this.#flush();
      }
    } finally {
      // The descriptor must not be closed, and be another file's, while it is read.
      await next?.catch(() => {});
    }
  }

  #header(path: string, header: TarHeaderInput): void {
    const xattrs = header.type === "link" || header.type === "symlink" ? undefined : attributesOf(path);
    this.#add(encodeTarHeader(xattrs === undefined ? header : { ...header, xattrs }));
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }

  *#flush(): Generator<Uint8Array, void, undefined> {
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    this.#size = 0;
    yield parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  }
}

function metadata({ mode, uid, gid, mtime }: FileStat) {
  return { mode, uid, gid, mtime };
}

/** Those that mean the same elsewhere. */
function attributesOf(path: string): ReadonlyMap<string, Uint8Array> | undefined {
  let all: Map<string, Uint8Array>;
  try {
    all = readXattrs(path);
  } catch {
    return undefined;
  }
  for (const name of [...all.keys()]) {
    const known = name === "security.capability" || name.startsWith("system.posix_acl_") || name.startsWith("user.");
    if (!known || name.startsWith("user.overlay.") || name.includes("=")) all.delete(name);
  }
  return all.size === 0 ? undefined : all;
}

function isGone(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP";
}

/** Others get their turn. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
