import { isError, SlipwayError } from "@slipway/base";
import type { EscapeCharacter } from "./expand.ts";
import { type FlagKinds, type Flags, readFlags } from "./flags.ts";
import type { CommandLine } from "./instructions.ts";
import type { LogicalLine } from "./lines.ts";
import { type SourceRange, type SourceText, sourceError } from "./source.ts";
import { blankDelimited, jsonForm, type SplitLine, splitLine } from "./words.ts";

/** A logical line on its way to an instruction. */
export interface Statement extends SplitLine {
  readonly source: SourceText;
  readonly line: LogicalLine;
  readonly escape: EscapeCharacter;
  /** Upper case, for messages. */
  readonly name: string;
}

export function statementOf(
  source: SourceText,
  line: LogicalLine,
  escapeChar: EscapeCharacter,
  text = line.text,
): Statement {
  const split = splitLine(text);
  return { ...split, source, line, escape: escapeChar, name: split.keyword.toUpperCase() };
}

/** What all instructions have. */
export function common(statement: Statement): { readonly range: SourceRange; readonly original: string } {
  return { range: statement.line.range, original: statement.line.text };
}

export function flagsOf(statement: Statement, kinds: FlagKinds): Flags {
  return readFlags(statement.flags, kinds, statement.name);
}

export function noFlags(statement: Statement): void {
  if (statement.flags.length > 0) flagsOf(statement, {});
}

/** The whole rest as one argument (USER, WORKDIR, STOPSIGNAL, MAINTAINER). */
export function oneArgument(statement: Statement): string {
  noFlags(statement);
  if (statement.rest === "") throw problem(`${statement.name} requires exactly one argument`);
  return statement.rest;
}

/** JSON array, or words parted by blanks. */
export function listOrWords(statement: Statement): readonly string[] {
  return arrayOf(statement) ?? blankDelimited(statement.rest);
}

/** JSON array, or a line for the shell. No words at all are an exec form without words. */
export function commandLine(statement: Statement): CommandLine {
  const args = arrayOf(statement);
  if (args !== undefined) return { form: "exec", args };
  return statement.rest === "" ? { form: "exec", args: [] } : { form: "shell", line: statement.rest };
}

function arrayOf(statement: Statement): readonly string[] | undefined {
  const form = jsonForm(statement.rest);
  if (form.kind === "not-strings") {
    throw problem("when using JSON array syntax, arrays must be comprised of strings only", {
      hint: `Put every word of the array into double quotes.`,
      needle: statement.rest.slice(0, 1),
    });
  }
  return form.kind === "array" ? form.words : undefined;
}

/** An error without a place yet; `needle` is what to underline on the instruction's lines. */
export function problem(
  message: string,
  more: { readonly hint?: string; readonly needle?: string } = {},
): SlipwayError {
  return new SlipwayError("invalid", message, {
    ...(more.hint === undefined ? {} : { hint: more.hint }),
    ...(more.needle === undefined ? {} : { details: { needle: more.needle } }),
  });
}

/** Runs `work`; an `invalid` error that has no place yet gets the one of the line. */
export function placed<T>(source: SourceText, range: SourceRange, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isError(error, "invalid") || error.details.source !== undefined) throw error;
    const { needle } = error.details;
    throw sourceError(source, typeof needle === "string" ? locate(source, range, needle) : range, {
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

/** The range of `needle` where it first stands within the lines of `range`, or `range` when it does not stand there as it is. */
export function locate(source: SourceText, range: SourceRange, needle: string): SourceRange {
  if (needle === "") return range;
  for (let line = range.startLine; line <= range.endLine; line++) {
    const column = source.lines[line - 1]?.indexOf(needle) ?? -1;
    if (column < 0) continue;
    return {
      file: range.file,
      startLine: line,
      endLine: line,
      startColumn: column + 1,
      endColumn: column + 1 + needle.length,
    };
  }
  return range;
}
