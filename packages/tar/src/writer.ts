import { SlipwayError } from "@slipway/base";
import { BLOCK, FIELD, padding, writeOctal } from "./format.ts";
import type { TarEntryType, TarHeader } from "./header.ts";
import { encodeRecord, formatTime, XATTR_PREFIX } from "./pax.ts";

/** What the writer needs of a header; the rest is as empty as it can be. */
export type TarHeaderInput = Pick<TarHeader, "name" | "type" | "mode"> & Partial<TarHeader>;

const FLAGS: Readonly<Record<TarEntryType, number>> = {
  file: 0x30,
  link: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  dir: 0x35,
  fifo: 0x36,
};

const LARGEST_ID = 0o7777777;
const LARGEST_SIZE = 0o77777777777;
const PAX_NAME = "././@PaxHeader";

/**
 * One entry's header: a PAX extended header if the entry needs one, and a ustar block. The same header gives the same
 * bytes, on every machine and in every version: that is what digests of layers rest on.
 *
 * PAX records stand for what ustar cannot say: names over 100 bytes or beyond ASCII, times with nanoseconds or out of
 * range, owners over 2097151, sizes over 8 GiB, attributes. They are sorted by key. Directories end in a slash.
 */
export function encodeTarHeader(header: TarHeaderInput): Uint8Array {
  if (header.name.includes("\0") || header.linkname?.includes("\0")) {
    throw new SlipwayError("invalid", `tar entry with a NUL byte in its name: ${JSON.stringify(header.name)}`);
  }
  const name = header.type === "dir" && !header.name.endsWith("/") ? `${header.name}/` : header.name;
  const records = collectRecords(header, name);
  if (records === undefined) {
    const block = new Uint8Array(BLOCK);
    writeBlock(block, 0, header, name);
    return block;
  }
  const body = records.length;
  const bodyEnd = BLOCK + body + padding(body);
  const bytes = new Uint8Array(bodyEnd + BLOCK);
  writePaxBlock(bytes, body);
  bytes.set(records, BLOCK);
  writeBlock(bytes, bodyEnd, header, name);
  return bytes;
}

/** The body of the extended header, or undefined if none is needed. */
function collectRecords(header: TarHeaderInput, name: string): Uint8Array | undefined {
  const { mtime = 0n, size = 0, uid = 0, gid = 0, uname = "", gname = "", linkname = "", xattrs } = header;
  const records: [key: string, value: string | Uint8Array][] = [];
  for (const [key, value] of xattrs ?? []) {
    // PAX ends a key at the first `=`: the attribute would come back under another name.
    if (key.includes("=") || key.includes("\0"))
      throw new SlipwayError("invalid", `tar cannot hold the attribute ${key} of ${name}`);
    records.push([`${XATTR_PREFIX}${key}`, value]);
  }
  if (gid > LARGEST_ID) records.push(["gid", String(gid)]);
  if (!fits(gname, 31)) records.push(["gname", gname]);
  if (!fits(linkname, 100)) records.push(["linkpath", linkname]);
  if (headerSeconds(mtime) === undefined) records.push(["mtime", formatTime(mtime)]);
  if (!fits(name, 100)) records.push(["path", name]);
  if (size > LARGEST_SIZE) records.push(["size", String(size)]);
  if (uid > LARGEST_ID) records.push(["uid", String(uid)]);
  if (!fits(uname, 31)) records.push(["uname", uname]);
  const [only] = records;
  if (only === undefined) return undefined;
  if (records.length === 1) return encodeRecord(only[0], only[1]);
  records.sort(([one], [two]) => (one < two ? -1 : 1));
  return Buffer.concat(records.map(([key, value]) => encodeRecord(key, value)));
}

/** Whole seconds that the ustar field can hold, else undefined. */
function headerSeconds(mtime: bigint): number | undefined {
  if (mtime < 0n || mtime % 1_000_000_000n !== 0n) return undefined;
  const seconds = Number(mtime / 1_000_000_000n);
  return seconds <= LARGEST_SIZE ? seconds : undefined;
}

function fits(text: string, bytes: number): boolean {
  if (text.length > bytes) return false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0x80 || code === 0) return false;
  }
  return true;
}

function writePaxBlock(bytes: Uint8Array, size: number): void {
  writeText(bytes, FIELD.name[0], PAX_NAME, 100);
  writeOctal(bytes, FIELD.mode[0], 8, 0);
  writeOctal(bytes, FIELD.uid[0], 8, 0);
  writeOctal(bytes, FIELD.gid[0], 8, 0);
  writeOctal(bytes, FIELD.size[0], 12, size);
  writeOctal(bytes, FIELD.mtime[0], 12, 0);
  bytes[FIELD.type] = 0x78;
  finishBlock(bytes, 0);
}

function writeBlock(bytes: Uint8Array, at: number, header: TarHeaderInput, name: string): void {
  const { mtime = 0n, size = 0, uid = 0, gid = 0, uname = "", gname = "", linkname = "" } = header;
  const { devmajor = 0, devminor = 0 } = header;
  if (devmajor > LARGEST_ID || devminor > LARGEST_ID) {
    throw new SlipwayError("invalid", `device ${devmajor}:${devminor} of ${name} does not fit into a tar header`);
  }
  writeText(bytes, at + FIELD.name[0], name, 100);
  writeOctal(bytes, at + FIELD.mode[0], 8, header.mode & 0o7777);
  writeOctal(bytes, at + FIELD.uid[0], 8, uid > LARGEST_ID ? 0 : uid);
  writeOctal(bytes, at + FIELD.gid[0], 8, gid > LARGEST_ID ? 0 : gid);
  writeOctal(bytes, at + FIELD.size[0], 12, size > LARGEST_SIZE || header.type !== "file" ? 0 : size);
  // The seconds also when a record has the nanoseconds: readers that know no PAX get the nearest that they can.
  const seconds = mtime < 0n ? 0 : Number(mtime / 1_000_000_000n);
  writeOctal(bytes, at + FIELD.mtime[0], 12, seconds > LARGEST_SIZE ? 0 : seconds);
  bytes[at + FIELD.type] = FLAGS[header.type];
  writeText(bytes, at + FIELD.linkname[0], linkname, 100);
  writeText(bytes, at + FIELD.uname[0], uname, 31);
  writeText(bytes, at + FIELD.gname[0], gname, 31);
  writeOctal(bytes, at + FIELD.devmajor[0], 8, devmajor);
  writeOctal(bytes, at + FIELD.devminor[0], 8, devminor);
  finishBlock(bytes, at);
}

/** The first bytes of a text; what is not ASCII becomes `?`, for the record has it right. */
function writeText(bytes: Uint8Array, at: number, text: string, length: number): void {
  const end = Math.min(text.length, length);
  for (let index = 0; index < end; index++) {
    const code = text.charCodeAt(index);
    bytes[at + index] = code >= 0x80 || code === 0 ? 0x3f : code;
  }
}

const MAGIC = [0x75, 0x73, 0x74, 0x61, 0x72, 0, 0x30, 0x30] as const;

function finishBlock(bytes: Uint8Array, at: number): void {
  for (let index = 0; index < MAGIC.length; index++) bytes[at + FIELD.magic + index] = MAGIC[index] ?? 0;
  let sum = 8 * 0x20;
  for (let index = at; index < at + BLOCK; index++) sum += bytes[index] ?? 0;
  // Six digits, NUL, space: as every tar since V7.
  writeOctal(bytes, at + FIELD.checksum[0], 7, sum);
  bytes[at + FIELD.checksum[0] + 7] = 0x20;
}
