import { SlipwayError } from "@slipway/base";
import { isBlank } from "./blank.ts";
import type { RawWord } from "./instructions.ts";
import { cutPrefix, cutSuffix, replacePattern } from "./shell-pattern.ts";

/** Where words find their variables; a `Map` is one. */
export interface Variables {
  get(name: string): string | undefined;
}

export type EscapeCharacter = "\\" | "`";

export interface Expansion {
  readonly value: string;
  /** Every variable that was asked for, whether it had a value or not: what a cache key depends on. */
  readonly used: ReadonlySet<string>;
  /** Those of them that had no value. */
  readonly undefined: ReadonlySet<string>;
}

export interface WordsExpansion extends Omit<Expansion, "value"> {
  readonly words: readonly string[];
}

/** How a lexer treats what is not a variable. */
export interface LexerMode {
  /** Quotes are ordinary characters (heredoc contents). */
  readonly ignoreQuotes?: boolean;
  /** Quotes stay in the result. */
  readonly keepQuotes?: boolean;
  /** Escape characters stay in the result. */
  readonly keepEscapes?: boolean;
  /** A variable without a value stays as it is written. */
  readonly keepUnset?: boolean;
}

const NOTHING: ReadonlySet<string> = new Set();

/** The value of a word: variables replaced, quotes removed, escapes applied. Throws `invalid`. */
export function expand(word: RawWord, env: Variables, escapeChar: EscapeCharacter = "\\"): Expansion {
  return run(word, env, escapeChar, {});
}

/** As `expand`, but blanks outside quotes, also those of unquoted values, part words (EXPOSE). */
export function expandWords(
  word: RawWord,
  env: Variables,
  escapeChar: EscapeCharacter = "\\",
  mode: LexerMode = {},
): WordsExpansion {
  const lexer = new ShellLexer(word, env, escapeChar, mode);
  lexer.run();
  return { words: lexer.words(), used: lexer.used, undefined: lexer.unset };
}

/** The content of a heredoc in COPY or ADD: variables replaced, quotes left alone. The escape is always a backslash. */
export function expandHeredoc(content: string, env: Variables): Expansion {
  return run(content, env, "\\", { ignoreQuotes: true });
}

function run(word: string, env: Variables, escapeChar: EscapeCharacter, mode: LexerMode): Expansion {
  // Most words hold nothing to do; quotes matter only when they are not ignored.
  if (!word.includes("$") && !word.includes(escapeChar) && (mode.ignoreQuotes || !/['"]/.test(word))) {
    return { value: word, used: NOTHING, undefined: NOTHING };
  }
  const lexer = new ShellLexer(word, env, escapeChar, mode);
  const value = lexer.run();
  return { value, used: lexer.used, undefined: lexer.unset };
}

const LETTER = /^[\p{L}_]/u;
const LETTER_OR_DIGIT = /^[\p{L}\p{Nd}_]/u;
const SPECIAL_PARAMETERS = "@*#?-$!0";
/** Characters; `ENV a=$a$a` in a row doubles a value with each line. */
const MAX_VALUE = 1024 * 1024;
const MAX_HEREDOC = 16 * 1024 * 1024;
/** Nested `${a:-${b:-...}}` deeper than this is an attack on the stack, not a Dockerfile. */
const MAX_DEPTH = 100;

/** The shell words of BuildKit's front end. One use each. */
class ShellLexer {
  readonly used = new Set<string>();
  readonly unset = new Set<string>();
  readonly #text: string;
  readonly #env: Variables;
  readonly #escape: string;
  readonly #mode: LexerMode;
  readonly #words: string[] = [];
  #position = 0;
  #depth = 0;
  #inserted = 0;
  #word = "";

  constructor(text: string, env: Variables, escapeChar: EscapeCharacter, mode: LexerMode) {
    this.#text = text;
    this.#env = env;
    this.#escape = escapeChar;
    this.#mode = mode;
  }

  run(): string {
    return this.#until(undefined, this.#mode.keepEscapes ?? false);
  }

  words(): string[] {
    return this.#word === "" ? this.#words : [...this.#words, this.#word];
  }

  /** Reads to `stop`, which is eaten, or to the end when there is none. */
  #until(stop: string | undefined, keepEscapes: boolean): string {
    if (++this.#depth > MAX_DEPTH) throw this.#error("substitutions are nested too deeply");
    const quotes = !this.#mode.ignoreQuotes;
    let out = "";
    for (;;) {
      const char = this.#text[this.#position];
      if (char === undefined) break;
      if (char === stop) {
        this.#position++;
        this.#depth--;
        return out;
      }
      if (char === "'" && quotes) out += this.#raw(this.#singleQuoted());
      else if (char === '"' && quotes) out += this.#raw(this.#doubleQuoted());
      else if (char === "$") out += this.#splitting(this.#dollar());
      else out += this.#plain(char, keepEscapes);
    }
    this.#depth--;
    if (stop !== undefined) throw this.#error(`a '${stop}' is missing`);
    return out;
  }

  #plain(first: string, keepEscapes: boolean): string {
    this.#position++;
    if (first !== this.#escape) return this.#splitting(first);
    const next = this.#text[this.#position];
    const kept = keepEscapes ? this.#raw(first) : "";
    if (next === undefined) return kept;
    this.#position++;
    return kept + this.#raw(next);
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#position + 1);
    if (end < 0) throw this.#error("a single quote is not closed");
    const inner = this.#text.slice(this.#position + 1, end);
    this.#position = end + 1;
    return this.#mode.keepQuotes ? `'${inner}'` : inner;
  }

  #doubleQuoted(): string {
    this.#position++;
    let out = this.#mode.keepQuotes ? '"' : "";
    for (;;) {
      const char = this.#text[this.#position];
      if (char === undefined) throw this.#error("a double quote is not closed");
      if (char === '"') {
        this.#position++;
        return this.#mode.keepQuotes ? `${out}"` : out;
      }
      if (char === "$") {
        out += this.#dollar();
        continue;
      }
      this.#position++;
      if (char !== this.#escape) {
        out += char;
        continue;
      }
      const next = this.#text[this.#position];
      if (next === undefined) throw this.#error("a double quote is not closed");
      this.#position++;
      // Inside double quotes only these can be escaped; before others the escape is itself.
      const escapes = next === '"' || next === "$" || next === this.#escape;
      out += escapes && !this.#mode.keepEscapes ? next : char + next;
    }
  }

  #dollar(): string {
    const start = this.#position++;
    if (this.#text[this.#position] !== "{") {
      const name = this.#name();
      return name === "" ? "$" : this.#valueOrSource(name, start);
    }
    this.#position++;
    const first = this.#text[this.#position];
    if (first === undefined) throw this.#error("a '}' is missing");
    if (first === "{" || first === "}" || first === ":") throw this.#error("a variable without a name");
    const name = this.#name();
    const operator = this.#text[this.#position++];
    switch (operator) {
      case "}":
        return this.#valueOrSource(name, start);
      case ":":
      case "-":
      case "+":
      case "?":
      case "#":
      case "%":
        return this.#conditional(name, operator, start);
      case "/":
        return this.#replacement(name, start);
      case undefined:
        throw this.#error("a '}' is missing");
      default:
        throw this.#error(`unsupported modifier (${operator}) in substitution`);
    }
  }

  /** `${name:-word}` and its like; `position` is after the first character of the operator. */
  #conditional(name: string, first: string, start: number): string {
    const emptyIsUnset = first === ":";
    const operator = emptyIsUnset ? (this.#text[this.#position++] ?? "") : first;
    if (!"-+?#%".includes(operator) || operator === "" || (emptyIsUnset && "#%".includes(operator))) {
      throw this.#error(`unsupported modifier (${emptyIsUnset ? ":" : ""}${operator}) in substitution`);
    }
    const word = this.#nested("}", operator === "#" || operator === "%");
    const value = this.#lookup(name);
    if (value === undefined && this.#mode.keepUnset) return this.#text.slice(start, this.#position);
    const present = value !== undefined && !(emptyIsUnset && value === "");
    switch (operator) {
      case "-":
        return present ? value : word;
      case "+":
        return present ? word : "";
      case "?":
        if (present) return value;
        throw this.#error(
          `${name}: ${word || (value === undefined ? "is not allowed to be unset" : "is not allowed to be empty")}`,
        );
      case "#":
        return value === undefined ? "" : cutPrefix(value, ...greedy(word, "#"));
      default:
        return value === undefined ? "" : cutSuffix(value, ...greedy(word, "%"));
    }
  }

  #replacement(name: string, start: number): string {
    const all = this.#text[this.#position] === "/";
    if (all) this.#position++;
    const pattern = this.#nested("/", true);
    const replacement = this.#nested("}", true);
    const value = this.#lookup(name);
    if (value === undefined) return this.#mode.keepUnset ? this.#text.slice(start, this.#position) : "";
    return replacePattern(value, pattern, replacement, all);
  }

  /** A part of a substitution: its words are words of the substitution, not of the whole. */
  #nested(stop: string, keepEscapes: boolean): string {
    const word = this.#word;
    const count = this.#words.length;
    const out = this.#until(stop, keepEscapes);
    this.#words.length = count;
    this.#word = word;
    return out;
  }

  /** A name, digits, or one special parameter; empty when none stands here. */
  #name(): string {
    const rest = this.#text;
    const start = this.#position;
    const digits = /[0-9]+/y;
    digits.lastIndex = start;
    const number = digits.exec(rest)?.[0];
    if (number !== undefined) {
      this.#position += number.length;
      return number;
    }
    const first = rest[start];
    if (first !== undefined && SPECIAL_PARAMETERS.includes(first)) {
      this.#position++;
      return first;
    }
    let matcher = LETTER;
    for (;;) {
      const code = rest.codePointAt(this.#position);
      if (code === undefined) break;
      const char = String.fromCodePoint(code);
      if (!matcher.test(char)) break;
      matcher = LETTER_OR_DIGIT;
      this.#position += char.length;
    }
    return rest.slice(start, this.#position);
  }

  #valueOrSource(name: string, start: number): string {
    return this.#lookup(name) ?? (this.#mode.keepUnset ? this.#text.slice(start, this.#position) : "");
  }

  #lookup(name: string): string | undefined {
    const value = this.#env.get(name);
    this.used.add(name);
    if (value === undefined) this.unset.add(name);
    else this.#inserted += value.length;
    if (this.#inserted > (this.#mode.ignoreQuotes ? MAX_HEREDOC : MAX_VALUE))
      throw this.#error("its value is too long");
    return value;
  }

  /** Text that never parts words. */
  #raw(text: string): string {
    this.#word += text;
    return text;
  }

  /** Text whose blanks part words. */
  #splitting(text: string): string {
    for (const char of text) {
      if (!isBlank(char)) this.#word += char;
      else if (this.#word !== "") {
        this.#words.push(this.#word);
        this.#word = "";
      }
    }
    return text;
  }

  #error(problem: string): SlipwayError {
    const shown = this.#text.length > 200 ? `${this.#text.slice(0, 200)}...` : this.#text;
    return new SlipwayError("invalid", `cannot expand '${shown}': ${problem}`, { details: { word: shown, problem } });
  }
}

/** `##word` is the greedy form of `#word`. */
function greedy(word: string, operator: string): [pattern: string, greedy: boolean] {
  return word.startsWith(operator) ? [word.slice(1), true] : [word, false];
}
