import type { LogRecord } from "../faces.ts";

/**
 * Parses a line of a `json-file` log. Undefined for anything else: a record that a full disk or a power cut left half
 * written must not hide the others.
 */
export function parseLogLine(line: string): LogRecord | undefined {
  return parseOwn(line) ?? parseForeign(line);
}

const BEGIN = '{"log":"';
const STREAM = '","stream":"std';

/** Our own lines have one shape, and most need no unescaping: an order of magnitude faster than a JSON parser. */
function parseOwn(line: string): LogRecord | undefined {
  if (!line.startsWith(BEGIN) || !line.endsWith('Z"}')) return undefined;
  const at = line.lastIndexOf(STREAM);
  if (at < 0) return undefined;
  const isStdout = line.startsWith('out","time":"', at + STREAM.length);
  if (!isStdout && !line.startsWith('err","time":"', at + STREAM.length)) return undefined;
  const time = parseTime(line.slice(at + STREAM.length + 13, -2));
  if (time === undefined) return undefined;
  const text = unescapeText(line.slice(BEGIN.length, at));
  return text === undefined ? undefined : { stream: isStdout ? "stdout" : "stderr", time, data: Buffer.from(text) };
}

function unescapeText(escaped: string): string | undefined {
  const first = escaped.indexOf("\\");
  if (first < 0) return escaped;
  if (first === escaped.length - 2 && escaped.endsWith("\\n")) return `${escaped.slice(0, -2)}\n`;
  try {
    return JSON.parse(`"${escaped}"`) as string;
  } catch {
    return undefined;
  }
}

/** As Docker writes them: other keys (`attrs`) between, fewer digits. */
function parseForeign(line: string): LogRecord | undefined {
  try {
    const { log, stream, time } = JSON.parse(line) as Record<string, unknown>;
    if (typeof log !== "string" || typeof time !== "string") return undefined;
    const nanoseconds = parseTime(time);
    if (nanoseconds === undefined) return undefined;
    return { stream: stream === "stderr" ? "stderr" : "stdout", time: nanoseconds, data: Buffer.from(log) };
  } catch {
    return undefined;
  }
}

let lastSecond = "";
let lastSecondNanoseconds = 0n;

/** Nanoseconds since the epoch of `2026-01-02T03:04:05.678Z` with up to nine digits. */
export function parseTime(text: string): bigint | undefined {
  if (text.length < 20 || !text.endsWith("Z")) return undefined;
  const second = text.slice(0, 19);
  if (second !== lastSecond) {
    const milliseconds = Date.parse(`${second}Z`);
    if (Number.isNaN(milliseconds)) return undefined;
    lastSecond = second;
    lastSecondNanoseconds = BigInt(milliseconds) * 1_000_000n;
  }
  const fraction = text.slice(20, -1);
  if (fraction === "") return lastSecondNanoseconds;
  const nanoseconds = Number(fraction.padEnd(9, "0").slice(0, 9));
  return Number.isInteger(nanoseconds) ? lastSecondNanoseconds + BigInt(nanoseconds) : undefined;
}

/** Only the time of a line, for searching. */
export function timeOfLine(line: string): bigint | undefined {
  const at = line.lastIndexOf('"time":"');
  const end = line.indexOf('"', at + 8);
  return at < 0 || end < 0 ? undefined : parseTime(line.slice(at + 8, end));
}
