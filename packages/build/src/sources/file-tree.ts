import type { SlipwayError } from "@slipway/base";
import type { FileContent } from "@slipway/store";

/** What COPY and bind mounts read from: a context, a root file system, a download. Paths are relative, `""` is the root. */
export interface FileTree {
  /** The entry itself; links on the way are followed, the last is not. */
  lstat(path: string): TreeEntry | undefined;
  /** As `lstat`, for a path without links on the way: what `names` gave below a resolved path. */
  at(path: string): TreeEntry | undefined;
  /** The path with every link followed inside the tree. */
  resolve(path: string): string;
  /** Names in a directory, sorted bytewise. */
  names(path: string): readonly string[];
  content(entry: TreeEntry): FileContent;
  /** sha256 in hex of each file's content, in their order. */
  digests(entries: readonly TreeEntry[], signal: AbortSignal): Promise<readonly string[]>;
  /** Why a path is not there, as precisely as it can be said. */
  missing(path: string): SlipwayError;
  /** What makes the same tree the same: a chain ID, a digest. Undefined when only its files can tell. */
  readonly identity: string | undefined;
  /** It came over the network: ADD leaves it packed. */
  readonly isDownload?: boolean;
}

export interface TreeEntry {
  /** Where it lies, resolved. */
  readonly path: string;
  readonly kind: "dir" | "file" | "symlink" | "char" | "block" | "fifo" | "socket";
  /** Octal 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Of a symbolic link. */
  readonly target?: string;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  readonly major?: number;
  readonly minor?: number;
  /** Identity of files with several names, so that hard links stay links. */
  readonly link?: string;
}
