import { SlipwayError } from "@slipway/base";
import { isBlank } from "./blank.ts";
import type { EscapeCharacter } from "./expand.ts";
import type { KeyValue } from "./instructions.ts";

/** An instruction's text taken apart: `RUN --mount=... echo hi`. */
export interface SplitLine {
  /** As written. */
  readonly keyword: string;
  /** With their dashes, quotes and backslashes removed. */
  readonly flags: readonly string[];
  readonly rest: string;
}

export function splitLine(text: string): SplitLine {
  const match = /^(\S+)\s*([\s\S]*)$/.exec(text.trim());
  const { flags, rest } = takeFlags(match?.[2] ?? "");
  return { keyword: match?.[1] ?? "", flags, rest: rest.trim() };
}

/** Words that begin with `--`, up to the first that does not or to a bare `--`. */
function takeFlags(text: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let position = 0;
  for (;;) {
    while (position < text.length && isBlank(text[position] ?? "")) position++;
    if (!text.startsWith("--", position)) return { flags, rest: text.slice(position) };
    const [word, end] = flagWord(text, position);
    position = end;
    if (word === "--") return { flags, rest: text.slice(position) };
    flags.push(word);
  }
}

/** Quotes group and vanish, a backslash takes the next character as it is, whatever the escape directive says. */
function flagWord(text: string, start: number): [word: string, end: number] {
  let word = "";
  let quote = "";
  let position = start;
  for (; position < text.length; position++) {
    const char = text[position] ?? "";
    if (quote === "" && isBlank(char)) break;
    if (char === "\\") word += text[++position] ?? "";
    else if (quote !== "") {
      if (char === quote) quote = "";
      else word += char;
    } else if (char === "'" || char === '"') quote = char;
    else word += char;
  }
  return [word, position];
}

export function blankDelimited(text: string): string[] {
  const trimmed = text.trim();
  return trimmed === "" ? [] : trimmed.split(/\s+/);
}

export type JsonForm =
  | { readonly kind: "array"; readonly words: readonly string[] }
  /** A JSON array with something other than strings in it: an error, not shell form. */
  | { readonly kind: "not-strings" }
  /** Looks like an array and is no JSON: shell form, and worth a note. */
  | { readonly kind: "invalid"; readonly problem: string }
  | { readonly kind: "none" };

export function jsonForm(text: string): JsonForm {
  const trimmed = text.trim();
  if (!trimmed.startsWith("[")) return { kind: "none" };
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch (error) {
    return { kind: "invalid", problem: error instanceof Error ? error.message : String(error) };
  }
  if (!Array.isArray(value)) return { kind: "none" };
  const words: unknown[] = value;
  const strings = words.filter((word) => typeof word === "string");
  return strings.length === words.length ? { kind: "array", words: strings } : { kind: "not-strings" };
}

/** Words parted by blanks outside of quotes; quotes and escapes stay in them. */
export function quotedWords(text: string, escapeChar: EscapeCharacter): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let index = 0; index < text.length; index++) {
    const char = text[index] ?? "";
    if (quote === "" && isBlank(char)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    if (char === escapeChar && quote !== "'") {
      // An escape that ends the text escapes nothing and vanishes.
      if (index + 1 === text.length) break;
      word += char + (text[++index] ?? "");
      continue;
    }
    if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === "'" || char === '"') quote = char;
    word += char;
  }
  if (word !== "") words.push(word);
  return words;
}

export interface KeyValues {
  readonly pairs: readonly KeyValue[];
  /** Written `KEY value`. */
  readonly legacy: boolean;
}

/** `key=value ...` or the old `key the rest is the value` of ENV and LABEL. Throws `invalid` without a place. */
export function keyValues(text: string, keyword: string, escapeChar: EscapeCharacter): KeyValues {
  const words = quotedWords(text, escapeChar);
  const [first] = words;
  if (first === undefined) return { pairs: [], legacy: false };
  if (!first.includes("=")) {
    const match = /^(\S+)\s+([\s\S]+)$/.exec(text.trim());
    if (match === null) {
      throw new SlipwayError("invalid", `${keyword} must have two arguments`, {
        hint: `Write ${keyword} ${first}=value.`,
      });
    }
    return { pairs: [{ key: match[1] ?? "", value: match[2] ?? "" }], legacy: true };
  }
  return { pairs: words.map((word) => keyValue(word, keyword)), legacy: false };
}

function keyValue(word: string, keyword: string): KeyValue {
  const equals = word.indexOf("=");
  if (equals < 0) {
    throw new SlipwayError("invalid", `can't find = in '${word}': ${keyword} takes name=value`, {
      hint: `Quote a value that has blanks: ${keyword} name="a value".`,
    });
  }
  if (equals === 0) throw new SlipwayError("invalid", `${keyword} names can not be blank`);
  return { key: word.slice(0, equals), value: word.slice(equals + 1) };
}
