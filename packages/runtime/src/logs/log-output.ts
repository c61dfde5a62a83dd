import type { LogRecord } from "../faces.ts";
import { parseLogLine } from "./log-record.ts";

const NEWLINE = 10;
const BACKSLASH = 92;
const LETTER_N = 110;
const HEADER = 8;
const STREAM_NUMBER = { stdout: 1, stderr: 2 } as const;

/** Our own records have one shape: a beginning as long as a frame's header, the text, and an end of one length. */
const BEGIN = wordsOf('{"log":"');
const END = '","stream":"stdout","time":"2026-01-02T03:04:05.000000000Z"}'.length;
const STREAM = wordsOf('","stream":"');
const [STDOUT, STDERR] = [wordsOf("stdo")[0], wordsOf("stde")[0]];
const [QUOTE, BRACE] = [34, 125];

/** Docker's frame: the stream's number, three zeros, the length as 32 bits big-endian, the data. */
export function frameOf({ stream, data }: LogRecord): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEADER + data.length);
  bytes.writeUInt32BE(STREAM_NUMBER[stream] << 24, 0);
  bytes.writeUInt32BE(data.length, 4);
  bytes.set(data, HEADER);
  return bytes;
}

/**
 * What the records of a block say, one after another, in frames if wanted. It is made in the block itself: a record is never
 * shorter than its frame. A hundred thousand lines are 40 ms this way, and 200 ms as strings.
 */
export function outputOf(
  block: Buffer,
  wanted: { readonly stdout: boolean; readonly stderr: boolean; readonly framed: boolean },
): Buffer {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  let to = 0;
  for (let from = 0; from < block.length; ) {
    const end = block.indexOf(NEWLINE, from);
    const stream = ownStream(view, from, end);
    const text = stream === undefined ? undefined : ownText(block, from + HEADER, end - END);
    if (stream === undefined || text === undefined) {
      const record = parseLogLine(block.toString("utf8", from, end));
      if (record !== undefined && wanted[record.stream]) {
        const bytes = wanted.framed ? frameOf(record) : record.data;
        block.set(bytes, to);
        to += bytes.length;
      }
    } else if (wanted[stream]) {
      const header = wanted.framed ? HEADER : 0;
      block.copyWithin(to + header, from + HEADER, from + HEADER + text);
      if (wanted.framed) {
        view.setUint32(to, STREAM_NUMBER[stream] << 24);
        view.setUint32(to + 4, text);
      }
      to += header + text;
    }
    from = end + 1;
  }
  return block.subarray(0, to);
}

/** The stream of a line of our own shape; undefined for any other. */
function ownStream(view: DataView, from: number, end: number): "stdout" | "stderr" | undefined {
  const at = end - END;
  if (at < from + HEADER) return undefined;
  if (view.getUint32(from) !== BEGIN[0] || view.getUint32(from + 4) !== BEGIN[1]) return undefined;
  if (view.getUint32(at) !== STREAM[0] || view.getUint32(at + 4) !== STREAM[1]) return undefined;
  if (view.getUint32(at + 8) !== STREAM[2]) return undefined;
  if (view.getUint8(end - 2) !== QUOTE || view.getUint8(end - 1) !== BRACE) return undefined;
  const name = view.getUint32(at + 12);
  return name === STDOUT ? "stdout" : name === STDERR ? "stderr" : undefined;
}

/** The length of a text without escapes but a newline at its end, which is put in place; undefined for any other text. */
function ownText(block: Buffer, from: number, end: number): number | undefined {
  const first = block.indexOf(BACKSLASH, from);
  if (first < 0 || first >= end) return end - from;
  if (first !== end - 2 || block[first + 1] !== LETTER_N) return undefined;
  block[first] = NEWLINE;
  return end - 1 - from;
}

function wordsOf(text: string): number[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readUInt32BE(n * 4));
}
