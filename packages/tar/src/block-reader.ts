import { BLOCK, checksums, corruptTar, FIELD, readNumber } from "./format.ts";
import type { TarEntryType, TarHeader } from "./header.ts";
import type { TarLimits } from "./limits.ts";
import { decodeText, type PaxRecords, parseDecimal, parseTime, XATTR_PREFIX } from "./pax.ts";

/** A header being put together; what callers see is the immutable `TarHeader`. */
export type DraftHeader = { -readonly [Key in keyof TarHeader]: TarHeader[Key] };

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "\0": "file",
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "dir",
  "6": "fifo",
  /** "Contiguous", which nobody has had for decades. */
  "7": "file",
  /** GNU: sparse, its map is the parser's matter. */
  S: "file",
  /** GNU: a directory with a list of its names as content. */
  D: "dir",
};

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

export function isZeroBlock(block: Uint8Array): boolean {
  for (let index = 0; index < BLOCK; index++) if (block[index] !== 0) return false;
  return true;
}

/** Throws unless the block is a header: its checksum says so. */
export function verifyChecksum(block: Uint8Array, offset: number): void {
  const stated = readNumber(block, FIELD.checksum[0], FIELD.checksum[1]);
  const { unsigned, signed } = checksums(block);
  if (stated !== unsigned && stated !== signed) {
    throw corruptTar(offset, `this is no tar header: its checksum is ${unsigned}, it states ${stated ?? "no number"}`);
  }
}

/** The `size` field of any kind of header, PAX records not applied. */
export function readSize(block: Uint8Array, offset: number): number {
  const size = readNumber(block, FIELD.size[0], FIELD.size[1]);
  if (size === undefined) throw corruptTar(offset, "malformed size");
  if (size < 0) throw corruptTar(offset, `negative size ${size}`);
  return size;
}

/** The entry of a header block, without PAX records and long names. */
export function readHeader(block: Uint8Array, offset: number): DraftHeader {
  const flag = String.fromCharCode(block[FIELD.type] ?? 0);
  const type = TYPES[flag];
  if (type === undefined) throw corruptTar(offset, `entry of unknown type ${JSON.stringify(flag)}`);
  const mtime = number(block, FIELD.mtime, offset, "mtime");
  const device = type === "char" || type === "block";
  const ustar = isUstar(block);
  return {
    name: readName(block, offset),
    type,
    mode: number(block, FIELD.mode, offset, "mode") & 0o7777,
    uid: number(block, FIELD.uid, offset, "uid"),
    gid: number(block, FIELD.gid, offset, "gid"),
    uname: ustar ? text(block, FIELD.uname, offset, "user name") : "",
    gname: ustar ? text(block, FIELD.gname, offset, "group name") : "",
    size: readSize(block, offset),
    mtime: BigInt(mtime) * 1_000_000_000n,
    linkname: text(block, FIELD.linkname, offset, "link target"),
    devmajor: device ? number(block, FIELD.devmajor, offset, "device number") : 0,
    devminor: device ? number(block, FIELD.devminor, offset, "device number") : 0,
    xattrs: NO_XATTRS,
  };
}

/** POSIX and old GNU archives both start it so; archives of Unix V7 have nothing there. */
function isUstar(block: Uint8Array): boolean {
  const at = FIELD.magic;
  return (
    block[at] === 0x75 &&
    block[at + 1] === 0x73 &&
    block[at + 2] === 0x74 &&
    block[at + 3] === 0x61 &&
    block[at + 4] === 0x72
  );
}

/** POSIX has "ustar\0" and puts the front of a long name into `prefix`; GNU has "ustar  " and other things there. */
function readName(block: Uint8Array, offset: number): string {
  const name = text(block, FIELD.name, offset, "name");
  if (!isUstar(block) || block[FIELD.magic + 5] !== 0 || block[FIELD.prefix[0]] === 0) return name;
  return `${text(block, FIELD.prefix, offset, "name")}/${name}`;
}

function number(block: Uint8Array, field: readonly [number, number], offset: number, what: string): number {
  const value = readNumber(block, field[0], field[1]);
  if (value === undefined) throw corruptTar(offset, `malformed ${what}`);
  return value;
}

function text(block: Uint8Array, field: readonly [number, number], offset: number, what: string): string {
  const [start, length] = field;
  if (block[start] === 0) return "";
  let end = start;
  while (end < start + length && block[end] !== 0) end++;
  return decodeText(block, start, end, offset, what);
}

/** Lets PAX records speak over the header (POSIX: an empty value takes a record back). Sparse records are the parser's matter. */
export function applyPax(header: DraftHeader, records: PaxRecords, limits: TarLimits, offset: number): void {
  let xattrs: Map<string, Uint8Array> | undefined;
  for (const [key, value] of records) {
    if (key.startsWith(XATTR_PREFIX)) {
      xattrs ??= new Map();
      // A copy: the value is a view of a buffer that is used again.
      xattrs.set(key.slice(XATTR_PREFIX.length), new Uint8Array(value));
      if (xattrs.size > limits.maxXattrs) throw corruptTar(offset, `more than ${limits.maxXattrs} extended attributes`);
    } else if (value.length > 0) {
      applyRecord(header, key, value, offset);
    }
  }
  if (xattrs !== undefined) header.xattrs = xattrs;
}

function applyRecord(header: DraftHeader, key: string, value: Uint8Array, offset: number): void {
  const asText = (): string => {
    const decoded = decodeText(value, 0, value.length, offset, `PAX ${key}`);
    if (decoded.includes("\0")) throw corruptTar(offset, `PAX ${key} with a NUL byte`);
    return decoded;
  };
  const asNumber = (): number => {
    const parsed = parseDecimal(asText());
    if (parsed === undefined || (key === "size" && parsed < 0)) throw corruptTar(offset, `malformed PAX ${key}`);
    return parsed;
  };
  if (key === "path") header.name = asText();
  else if (key === "linkpath") header.linkname = asText();
  else if (key === "uname") header.uname = asText();
  else if (key === "gname") header.gname = asText();
  else if (key === "uid") header.uid = asNumber();
  else if (key === "gid") header.gid = asNumber();
  else if (key === "size") header.size = asNumber();
  else if (key === "mtime") {
    const time = parseTime(asText());
    if (time === undefined) throw corruptTar(offset, "malformed PAX mtime");
    header.mtime = time;
  }
}

/** The last touch: a name that V7 marked as a directory by its slash, sizes that mean nothing, ranges. */
export function finishHeader(header: DraftHeader, limits: TarLimits, offset: number): void {
  if (header.name === "") throw corruptTar(offset, "entry without a name");
  if (header.name.endsWith("/")) {
    if (header.type === "file") header.type = "dir";
    header.name = header.name.replace(/\/+$/, "") || "/";
  }
  if (header.type !== "link" && header.type !== "symlink") header.linkname = "";
  for (const path of [header.name, header.linkname]) {
    if (path.length * 3 > limits.maxPath && Buffer.byteLength(path) > limits.maxPath) {
      throw corruptTar(offset, `a name of ${Buffer.byteLength(path)} bytes is longer than any path may be`);
    }
  }
  if (header.uid < 0 || header.uid > 0xffffffff || header.gid < 0 || header.gid > 0xffffffff) {
    throw corruptTar(offset, `owner ${header.uid}:${header.gid} of ${header.name} is out of range`);
  }
}
