import type { EscapeCharacter } from "./expand.ts";
import { chompTabs, type HeredocStart, heredocsOf } from "./heredoc.ts";
import type { Heredoc } from "./instructions.ts";
import { type SourceRange, type SourceText, sourceError } from "./source.ts";
import { jsonForm, splitLine } from "./words.ts";

/** One instruction's text: continuations joined, comments dropped. */
export interface LogicalLine {
  readonly text: string;
  readonly range: SourceRange;
  /** The comments directly above, without `#` and outer blanks. */
  readonly comments: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** Announcements of `heredocs` with their places in `text`. */
  readonly heredocStarts: readonly HeredocStart[];
  /** A line with nothing on it stood between continuations. */
  readonly emptyContinuation: boolean;
}

const COMMENT = /^\s*#/;
const BLANK = /^\s*$/;
/** Only these take heredocs, also below ONBUILD; elsewhere `<<` is text. JSON forms take none. */
const TAKES_HEREDOCS = /^(?:onbuild\s+)?(?:run|copy|add)\s/i;

/** Parts a file into logical lines, from line `first` (from 1) on. Throws `invalid` for a heredoc without an end. */
export function logicalLines(source: SourceText, escapeChar: EscapeCharacter, first = 1): LogicalLine[] {
  const reader = new LineReader(source, escapeChar, first);
  const lines: LogicalLine[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) lines.push(line);
  return lines;
}

class LineReader {
  readonly #source: SourceText;
  readonly #escape: EscapeCharacter;
  /** Index of the next line, from 0. */
  #at: number;

  constructor(source: SourceText, escapeChar: EscapeCharacter, first: number) {
    this.#source = source;
    this.#escape = escapeChar;
    this.#at = first - 1;
  }

  next(): LogicalLine | undefined {
    const { lines } = this.#source;
    let comments: string[] = [];
    for (;;) {
      const raw = lines[this.#at];
      if (raw === undefined) return undefined;
      if (COMMENT.test(raw)) comments.push(raw.replace(COMMENT, "").trim());
      else if (BLANK.test(raw)) comments = [];
      else break;
      this.#at++;
    }
    const startLine = this.#at + 1;
    const joined = this.#join();
    const text = joined.text.trim();
    if (text === "") return this.next();
    const heredocStarts = this.#announced(text);
    const heredocs = heredocStarts.map((start) => this.#body(start, startLine));
    const range = { file: this.#source.file, startLine, endLine: this.#at };
    return { text, range, comments, heredocs, heredocStarts, emptyContinuation: joined.empty };
  }

  #join(): { text: string; empty: boolean } {
    const { lines } = this.#source;
    let [text, more] = this.#continued((lines[this.#at++] ?? "").trimStart());
    let empty = false;
    while (more && this.#at < lines.length) {
      const raw = lines[this.#at++] ?? "";
      if (COMMENT.test(raw)) continue;
      if (BLANK.test(raw)) {
        empty = true;
        continue;
      }
      const [part, again] = this.#continued(raw);
      text += part;
      more = again;
    }
    return { text, empty };
  }

  /** A line ends with a continuation when its last character is the escape and the one before it is not. */
  #continued(line: string): [text: string, more: boolean] {
    // By hand: a pattern that ends in $ takes quadratic time on a long run of blanks.
    let end = line.length;
    while (line[end - 1] === " " || line[end - 1] === "\t") end--;
    if (line[end - 1] !== this.#escape || line[end - 2] === this.#escape) return [line, false];
    return [line.slice(0, end - 1), true];
  }

  #announced(text: string): readonly HeredocStart[] {
    if (!text.includes("<<") || !TAKES_HEREDOCS.test(text)) return [];
    if (isJsonForm(text)) return [];
    return heredocsOf(text, this.#escape);
  }

  #body(start: HeredocStart, instructionLine: number): Heredoc {
    const { lines, file } = this.#source;
    const first = this.#at;
    for (; this.#at < lines.length; this.#at++) {
      const line = lines[this.#at] ?? "";
      if ((start.chomp ? line.replace(/^\t+/, "") : line) !== start.name) continue;
      const content = lines.slice(first, this.#at).map((text) => `${text}\n`);
      this.#at++;
      return {
        name: start.name,
        content: start.chomp ? chompTabs(content.join("")) : content.join(""),
        expand: start.expand,
        chomp: start.chomp,
        fileDescriptor: start.fileDescriptor,
        range: { file, startLine: first + 1, endLine: this.#at },
      };
    }
    const range = { file, startLine: instructionLine, endLine: instructionLine };
    throw sourceError(this.#source, range, {
      message: `the heredoc '${start.name}' is not closed`,
      hint: `Put ${start.name} alone on a line after the text${start.chomp ? "" : ", without blanks before it"}.`,
    });
  }
}

/** Whether what follows keyword and flags is a JSON array. */
function isJsonForm(text: string): boolean {
  const outer = splitLine(text);
  const inner = /^onbuild$/i.test(outer.keyword) ? splitLine(outer.rest) : outer;
  const { kind } = jsonForm(inner.rest);
  return kind === "array" || kind === "not-strings";
}
