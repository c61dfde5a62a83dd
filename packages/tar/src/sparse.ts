import { BLOCK, corruptTar, readNumber } from "./format.ts";
import { parseDecimal } from "./pax.ts";

/** Where a piece of a sparse file's content belongs. */
export interface SparsePiece {
  readonly offset: number;
  readonly length: number;
}

/** Adds the used pairs of a header (4) or extension block (21) of the old GNU format. */
export function readOldPieces(block: Uint8Array, at: number, count: number, into: SparsePiece[], place: number): void {
  for (let index = 0; index < count; index++) {
    const start = at + index * 24;
    if (block[start] === 0) return;
    const [offset, length] = [readNumber(block, start, 12), readNumber(block, start + 12, 12)];
    if (offset === undefined || length === undefined) throw corruptTar(place, "malformed sparse map");
    into.push({ offset, length });
  }
}

/** `GNU.sparse.map` of versions 0.0 and 0.1: offset and length in turns. */
export function parseSparseList(text: string, place: number): SparsePiece[] {
  if (text === "") return [];
  return pairs(
    text.split(",").map((each) => parseDecimal(each)),
    place,
  );
}

function pairs(numbers: readonly (number | undefined)[], place: number): SparsePiece[] {
  const pieces: SparsePiece[] = [];
  if (numbers.length % 2 !== 0) throw corruptTar(place, "sparse map with an odd number of values");
  for (let index = 0; index < numbers.length; index += 2) {
    const [offset, length] = [numbers[index], numbers[index + 1]];
    if (offset === undefined || length === undefined) throw corruptTar(place, "malformed sparse map");
    pieces.push({ offset, length });
  }
  return pieces;
}

/** Version 1.0: the map stands before the content, one number a line, filled up to a block. Undefined as long as it is incomplete. */
export function parseSparseBlocks(bytes: Uint8Array, place: number): SparsePiece[] | undefined {
  const numbers: number[] = [];
  let wanted = 1;
  let start = 0;
  while (numbers.length < wanted) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0) return undefined;
    const value = parseDecimal(Buffer.from(bytes.subarray(start, Math.min(end, start + 20))).toString("latin1"));
    if (value === undefined || value < 0) throw corruptTar(place, "malformed sparse map");
    numbers.push(value);
    // No more pairs than could stand in a megabyte of map, whatever the count claims.
    if (numbers.length === 1) wanted += Math.min(value, 1 << 19) * 2;
    start = end + 1;
  }
  return bytes.length % BLOCK === 0 ? pairs(numbers.slice(1), place) : undefined;
}

/** Pieces must go forward, lie inside the file, and hold exactly the bytes that the archive has. */
export function checkPieces(
  pieces: readonly SparsePiece[],
  sizes: { readonly real: number; readonly stored: number },
  place: number,
): void {
  let end = 0;
  let stored = 0;
  for (const { offset, length } of pieces) {
    if (offset < end || length < 0 || offset + length > sizes.real)
      throw corruptTar(place, "sparse map out of order or out of the file");
    end = offset + length;
    stored += length;
  }
  if (stored !== sizes.stored)
    throw corruptTar(place, `sparse map names ${stored} bytes, the archive holds ${sizes.stored}`);
}
