import { SlipwayError } from "@slipway/base";

/** A place in a file; lines and columns count from 1, both ends of the lines included, `endColumn` excluded. */
export interface SourceRange {
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
  readonly startColumn?: number;
  readonly endColumn?: number;
}

/** The text of one file with the name under which people know it. */
export interface SourceText {
  readonly file: string;
  /** Without line endings. */
  readonly lines: readonly string[];
}

export interface ExcerptOptions {
  /** Lines shown before and after the range; 2 unless told. */
  readonly context?: number;
  /** Of a longer range only this many lines are shown; 12 unless told. */
  readonly maxLines?: number;
  /** Whether the first line is `file:line`; true unless told. */
  readonly header?: boolean;
}

const MAX_LINE_WIDTH = 200;
/** Messages quote words of the file, and a word may be as long as the file. */
const MAX_MESSAGE = 1000;

export function sourceText(file: string, text: string): SourceText {
  return { file, lines: splitLines(text) };
}

/** Lines without their endings; `\r\n` counts as one ending, and a final line ending does not open another line. */
export function splitLines(text: string): string[] {
  const lines = text.split("\n");
  if (lines.length > 1 && lines.at(-1) === "") lines.pop();
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index];
    if (line?.endsWith("\r")) lines[index] = line.slice(0, -1);
  }
  return lines;
}

/**
 * The lines of a range with their numbers, the range marked and its columns underlined:
 *
 * ```text
 * Dockerfile:3
 *    1 | FROM alpine
 *    2 |
 *    3 | >>> RUNN make
 *      |     ^^^^
 *    4 | COPY . .
 * ```
 */
export function renderExcerpt(source: SourceText, range: SourceRange, options: ExcerptOptions = {}): string {
  const context = options.context ?? 2;
  const maxLines = options.maxLines ?? 12;
  const count = source.lines.length;
  const start = Math.min(Math.max(range.startLine, 1), Math.max(count, 1));
  const end = Math.min(Math.max(range.endLine, start), Math.max(count, 1));
  const first = Math.max(1, start - context);
  const last = Math.min(count, end + context);
  const width = Math.max(4, String(last).length);
  const out = options.header === false ? [] : [`${range.file}:${start === end ? start : `${start}-${end}`}`];
  for (let line = first; line <= last; line++) {
    const inside = line >= start && line <= end;
    if (inside && end - start >= maxLines && line === start + maxLines - 1) {
      out.push(`${" ".repeat(width)} | ... ${end - line} more lines`);
      line = end;
    }
    out.push(excerptLine(line, width, inside, source.lines[line - 1] ?? ""));
    if (start === end && line === start) out.push(...underline(range, width, source.lines[line - 1] ?? ""));
  }
  return out.join("\n");
}

function excerptLine(number: number, width: number, inside: boolean, text: string): string {
  const shown = printable(text.length > MAX_LINE_WIDTH ? `${text.slice(0, MAX_LINE_WIDTH)}...` : text);
  return `${String(number).padStart(width)} | ${inside ? ">>>" : "   "} ${shown}`.trimEnd();
}

function underline(range: SourceRange, width: number, text: string): string[] {
  const { startColumn, endColumn } = range;
  if (startColumn === undefined || startColumn > Math.min(text.length, MAX_LINE_WIDTH)) return [];
  const end = Math.min(endColumn ?? startColumn + 1, text.length + 1, MAX_LINE_WIDTH + 1);
  // Tabs stay tabs, so that the marks stand below what they mark.
  const indent = text.slice(0, startColumn - 1).replace(/[^\t]/g, " ");
  return [`${" ".repeat(width)} |     ${indent}${"^".repeat(Math.max(1, end - startColumn))}`];
}

/** A terminal must not obey escape sequences that stand in somebody's Dockerfile. */
function printable(text: string): string {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "\u{fffd}");
}

/** An `invalid` error that names the place and shows its lines; `details.source` is the range. */
export function sourceError(
  source: SourceText,
  range: SourceRange,
  problem: { readonly message: string; readonly hint?: string; readonly cause?: unknown },
): SlipwayError {
  const place = `${range.file}:${range.startLine}`;
  const told = problem.message.length > MAX_MESSAGE ? `${problem.message.slice(0, MAX_MESSAGE)}...` : problem.message;
  return new SlipwayError(
    "invalid",
    `${place}: ${printable(told)}\n\n${renderExcerpt(source, range, { header: false })}\n`,
    {
      details: { source: range, problem: told },
      ...(problem.hint === undefined ? {} : { hint: problem.hint }),
      ...(problem.cause === undefined ? {} : { cause: problem.cause }),
    },
  );
}
