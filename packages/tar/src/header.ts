export type TarEntryType = "file" | "link" | "symlink" | "char" | "block" | "dir" | "fifo";

/** One entry's metadata, complete: PAX records and GNU extensions are already applied. */
export interface TarHeader {
  /** As it stands in the archive, without a trailing slash; hostile until checked. */
  readonly name: string;
  readonly type: TarEntryType;
  /** Permission bits with setuid, setgid and sticky, octal 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly uname: string;
  readonly gname: string;
  /** Bytes of content that follow; 0 for everything but files. */
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Target of `link` (an entry's name) and `symlink` (any text). */
  readonly linkname: string;
  readonly devmajor: number;
  readonly devminor: number;
  /** From `SCHILY.xattr.*` records. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}
