import { SlipwayError } from "@slipway/base";

export const BLOCK = 512;

/** Places of the fields in a header block: POSIX.1-2001 ustar, and what GNU put in place of `prefix`. */
export const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: 156,
  linkname: [157, 100],
  magic: 257,
  version: 263,
  uname: [265, 32],
  gname: [297, 32],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
  /** Old GNU sparse files: four pairs of offset and length, then whether a block with more follows, then the real size. */
  sparseMap: 386,
  sparseExtended: 482,
  sparseRealSize: [483, 12],
} as const;

/** Two blocks of zeros. */
export const END_OF_ARCHIVE: Uint8Array = new Uint8Array(2 * BLOCK);

/** Bytes that fill content of `size` bytes up to the next block. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** The complaint about an archive, with the byte at which it was found. */
export function corruptTar(offset: number, what: string, cause?: unknown): SlipwayError {
  return new SlipwayError("corrupt", `tar archive, byte ${offset}: ${what}`, {
    details: { offset },
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * A numeric field: octal with spaces or NULs around it, or GNU's base 256, big-endian in two's complement, marked by the
 * first bit. Undefined if it is neither, or beyond what a number holds exactly.
 */
export function readNumber(block: Uint8Array, at: number, length: number): number | undefined {
  const first = block[at] ?? 0;
  if (first & 0x80) return readBase256(block, at, length);
  const end = at + length;
  let index = at;
  while (index < end && (block[index] === 0x20 || block[index] === 0)) index++;
  let value = 0;
  for (; index < end; index++) {
    const digit = (block[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; index < end; index++) if (block[index] !== 0x20 && block[index] !== 0) return undefined;
  return value;
}

function readBase256(block: Uint8Array, at: number, length: number): number | undefined {
  const first = block[at] ?? 0;
  let value = first & 0x40 ? (first | 0x80) - 0x100 : first & 0x7f;
  for (let index = at + 1; index < at + length; index++) value = value * 256 + (block[index] ?? 0);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Octal digits over the whole field but its closing NUL. The value must fit. */
export function writeOctal(block: Uint8Array, at: number, length: number, value: number): void {
  let rest = value;
  for (let index = at + length - 2; index >= at; index--) {
    block[index] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

/** The sum of a header's bytes with the checksum field taken as spaces: as POSIX has it, and as old tars with signed characters computed it. */
export function checksums(block: Uint8Array): { readonly unsigned: number; readonly signed: number } {
  let sum = 0;
  let high = 0;
  for (let index = 0; index < BLOCK; index++) {
    const byte = block[index] ?? 0;
    sum += byte;
    high += byte >> 7;
  }
  let unsigned = sum + 8 * 0x20;
  let signed = sum - 256 * high + 8 * 0x20;
  for (let index = 148; index < 156; index++) {
    const byte = block[index] ?? 0;
    unsigned -= byte;
    signed -= byte - (byte & 0x80 ? 256 : 0);
  }
  return { unsigned, signed };
}
