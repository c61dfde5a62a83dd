import { corruptTar } from "./format.ts";

/** Records of a PAX extended header. Values are bytes: attributes may hold anything. */
export type PaxRecords = Map<string, Uint8Array>;

const XATTR_PREFIX = "SCHILY.xattr.";

export { XATTR_PREFIX };

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of bytes from `start` to `end`; refuses what is not UTF-8. */
export function decodeText(bytes: Uint8Array, start: number, end: number, offset: number, what: string): string {
  if (isAscii(bytes, start, end)) {
    return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
  }
  try {
    return strict.decode(bytes.subarray(start, end));
  } catch (cause) {
    throw corruptTar(offset, `${what} is not valid UTF-8`, cause);
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if ((bytes[index] ?? 0) >= 0x80) return false;
  return true;
}

/**
 * Reads "%d %s=%s\n" records (POSIX.1-2001 pax, "Extended Header Keywords") into `records`; a later one wins. Values are
 * views of `body`. `offset` is where the body stands in the archive.
 */
export function parsePax(body: Uint8Array, records: PaxRecords, offset: number): void {
  let at = 0;
  // Sparse maps of version 0.0 repeat their keys: they are collected into one, as version 0.1 writes them.
  const sparse: string[] = [];
  while (at < body.length) {
    const { keyStart, end } = readLength(body, at, offset);
    const equals = body.indexOf(0x3d, keyStart);
    if (equals < 0 || equals >= end || equals === keyStart) throw corruptTar(offset + at, "PAX record without a key");
    const key = decodeText(body, keyStart, equals, offset + at, "PAX key");
    if (key.includes("\0")) throw corruptTar(offset + at, "PAX key with a NUL byte");
    const value = body.subarray(equals + 1, end);
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes")
      sparse.push(Buffer.from(value).toString("latin1"));
    else records.set(key, value);
    at = end + 1;
  }
  if (sparse.length > 0) records.set("GNU.sparse.map", Buffer.from(sparse.join(","), "latin1"));
}

function readLength(body: Uint8Array, at: number, offset: number): { readonly keyStart: number; readonly end: number } {
  let length = 0;
  let index = at;
  for (; index < body.length && index - at < 10; index++) {
    const digit = (body[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  const end = at + length - 1;
  if (index === at || body[index] !== 0x20 || end <= index || end >= body.length || body[end] !== 0x0a) {
    throw corruptTar(offset + at, "malformed PAX record");
  }
  return { keyStart: index + 1, end };
}

/** A whole number of a PAX record; undefined if it is none. */
export function parseDecimal(text: string): number | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Nanoseconds of a PAX time as `1700000000.123456789`; further digits are cut off. */
export function parseTime(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(text);
  if (match === null) return undefined;
  const nanos = BigInt(match[2] ?? "0") * 1_000_000_000n + BigInt((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  return match[1] === "-" ? -nanos : nanos;
}

/** The shortest text of a PAX time. */
export function formatTime(time: bigint): string {
  const positive = time < 0n ? -time : time;
  const fraction = (positive % 1_000_000_000n).toString();
  const whole = `${time < 0n ? "-" : ""}${positive / 1_000_000_000n}`;
  return fraction === "0" ? whole : `${whole}.${fraction.padStart(9, "0").replace(/0+$/, "")}`;
}

/** One record; its length counts its own digits. */
export function encodeRecord(key: string, value: string | Uint8Array): Buffer {
  const content = typeof value === "string" ? Buffer.from(`${key}=${value}\n`) : undefined;
  const bytes = content ?? Buffer.concat([Buffer.from(`${key}=`), value as Uint8Array, Buffer.from("\n")]);
  let total = bytes.length + 1 + String(bytes.length).length;
  // The length's own digits can make it one digit longer (98 bytes and "99 " are 101).
  if (String(total).length !== String(bytes.length).length) total = bytes.length + 1 + String(total).length;
  return Buffer.concat([Buffer.from(`${total} `), bytes]);
}
