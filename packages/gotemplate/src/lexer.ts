import { quote } from "./printf.ts";

export type TokenKind =
  | "error"
  | "bool"
  | "character"
  | "charConstant"
  | "assign"
  | "declare"
  | "eof"
  | "field"
  | "identifier"
  | "leftDelim"
  | "leftParen"
  | "number"
  | "pipe"
  | "rawString"
  | "rightDelim"
  | "rightParen"
  | "space"
  | "string"
  | "text"
  | "variable"
  | "dot"
  | "keyword"
  | "nil";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset into the template. */
  readonly position: number;
  readonly line: number;
}

const KEYWORDS = new Set(["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"]);
const SPACE = /[ \t\r\n]/;
const WORD = /[\p{L}\p{Nd}_]/u;

/** Cuts a template into tokens. A mistake becomes an `error` token, after which there are no more. */
export function tokenize(input: string): Token[] {
  return new Lexer(input).run();
}

class Lexer {
  readonly #input: string;
  readonly #tokens: Token[] = [];
  #start = 0;
  #position = 0;
  #line = 1;
  #startLine = 1;
  #parens = 0;

  constructor(input: string) {
    this.#input = input;
  }

  run(): Token[] {
    while (this.#text()) if (!this.#action()) break;
    return this.#tokens;
  }

  /** The text up to the next action; false at the end of the template or after an error. */
  #text(): boolean {
    const open = this.#input.indexOf("{{", this.#position);
    if (open < 0) {
      this.#position = this.#input.length;
      this.#emitText(this.#position);
      this.#emit("eof");
      return false;
    }
    this.#position = open;
    const trims = this.#trimMarkerAfter(open + 2);
    let end = open;
    if (trims) while (end > this.#start && SPACE.test(this.#input.charAt(end - 1))) end--;
    this.#emitText(end);
    this.#ignoreTo(open);
    return this.#comment(open + 2 + (trims ? 2 : 0)) ?? this.#leftDelim(trims);
  }

  #emitText(end: number): void {
    if (end > this.#start) this.#push("text", this.#input.slice(this.#start, end));
  }

  #leftDelim(trims: boolean): true {
    this.#position += 2;
    this.#emit("leftDelim");
    if (trims) this.#ignoreTo(this.#position + 2);
    this.#parens = 0;
    return true;
  }

  /** Skips a comment and what follows it up to the next action; undefined when there is none here. */
  #comment(at: number): boolean | undefined {
    if (!this.#input.startsWith("/*", at)) return undefined;
    const close = this.#input.indexOf("*/", at + 2);
    if (close < 0) return this.#fail("unclosed comment");
    let end = close + 2;
    const trims = this.#trimMarkerBefore(end);
    if (trims) end += 2;
    if (!this.#input.startsWith("}}", end)) return this.#fail("comment ends before closing delimiter");
    this.#ignoreTo(end + 2);
    if (trims) this.#skipSpace();
    return this.#text();
  }

  /** All tokens of an action; false after an error. */
  #action(): boolean {
    for (;;) {
      const trims = this.#trimMarkerBefore(this.#position);
      if (this.#input.startsWith("}}", this.#position + (trims ? 2 : 0))) {
        if (this.#parens > 0) return this.#fail("unclosed left paren");
        if (trims) this.#ignoreTo(this.#position + 2);
        this.#position += 2;
        this.#emit("rightDelim");
        if (trims) this.#skipSpace();
        return true;
      }
      if (!this.#inside()) return false;
    }
  }

  #inside(): boolean {
    const char = this.#rune();
    if (char === "") return this.#fail("unclosed action");
    if (SPACE.test(char)) return this.#space();
    this.#position += char.length;
    const next = this.#input.charAt(this.#position);
    switch (char) {
      case "=":
        return this.#emit("assign");
      case ":":
        if (next !== "=") return this.#fail("expected :=");
        this.#position++;
        return this.#emit("declare");
      case "|":
        return this.#emit("pipe");
      case '"':
        return this.#quoted('"', "string", "unterminated quoted string");
      case "`":
        return this.#rawQuoted();
      case "'":
        return this.#quoted("'", "charConstant", "unterminated character constant");
      case "$":
        return this.#fieldOrVariable("variable");
      case ".":
        if (!/[0-9]/.test(next)) return this.#fieldOrVariable("field");
        break;
      case "(":
        this.#parens++;
        return this.#emit("leftParen");
      case ")":
        if (--this.#parens < 0) return this.#fail("unexpected right paren");
        return this.#emit("rightParen");
    }
    if (/[+\-.0-9]/.test(char)) return this.#number();
    if (WORD.test(char)) return this.#identifier();
    if (/[!-~]/.test(char)) return this.#emit("character");
    return this.#fail(`unrecognized character in action: ${runeName(char)}`, true);
  }

  #space(): boolean {
    while (SPACE.test(this.#input.charAt(this.#position))) {
      // A trim marker needs its space: leave the last one to it.
      if (this.#trimMarkerBefore(this.#position) && this.#input.startsWith("}}", this.#position + 2)) break;
      this.#position++;
    }
    return this.#position === this.#start || this.#emit("space");
  }

  #quoted(mark: string, kind: "string" | "charConstant", unterminated: string): boolean {
    for (;;) {
      const char = this.#input.charAt(this.#position++);
      if (char === "\\") {
        const escaped = this.#input.charAt(this.#position++);
        if (escaped === "" || escaped === "\n") return this.#fail(unterminated);
      } else if (char === "" || char === "\n") {
        return this.#fail(unterminated);
      } else if (char === mark) {
        return this.#emit(kind);
      }
    }
  }

  #rawQuoted(): boolean {
    const close = this.#input.indexOf("`", this.#position);
    if (close < 0) return this.#fail("unterminated raw quoted string");
    this.#position = close + 1;
    return this.#emit("rawString");
  }

  #fieldOrVariable(kind: "field" | "variable"): boolean {
    this.#words();
    if (this.#position === this.#start + 1) {
      if (kind === "variable") return this.#terminated() && this.#emit("variable");
      return this.#terminated() && this.#emit("dot");
    }
    return this.#terminated() && this.#emit(kind);
  }

  #identifier(): boolean {
    this.#words();
    if (!this.#terminated()) return false;
    const word = this.#input.slice(this.#start, this.#position);
    if (KEYWORDS.has(word)) return this.#emit("keyword");
    if (word === "true" || word === "false") return this.#emit("bool");
    return this.#emit(word === "nil" ? "nil" : "identifier");
  }

  #words(): void {
    for (let char = this.#rune(); char !== "" && WORD.test(char); char = this.#rune()) this.#position += char.length;
  }

  /** Whether a word may end here: `.x+1` is a mistake, not two operands. */
  #terminated(): boolean {
    const char = this.#rune();
    if (char === "" || SPACE.test(char) || /[.,|:()]/.test(char)) return true;
    if (this.#input.startsWith("}}", this.#position)) return true;
    this.#position += char.length;
    return this.#fail(`bad character ${runeName(char)}`, true);
  }

  #number(): boolean {
    const rest = this.#input.slice(this.#start);
    const match =
      /^[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/.exec(
        rest,
      );
    this.#position = this.#start + (match?.[0].length ?? 1);
    const next = this.#rune();
    if (next !== "" && WORD.test(next)) {
      this.#position += next.length;
      return this.#fail(`bad number syntax: ${quote(this.#input.slice(this.#start, this.#position))}`);
    }
    return this.#emit("number");
  }

  #rune(): string {
    const code = this.#input.codePointAt(this.#position);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  #trimMarkerAfter(at: number): boolean {
    return this.#input.charAt(at) === "-" && SPACE.test(this.#input.charAt(at + 1));
  }

  #trimMarkerBefore(at: number): boolean {
    return SPACE.test(this.#input.charAt(at)) && this.#input.charAt(at + 1) === "-";
  }

  #skipSpace(): void {
    let end = this.#position;
    while (SPACE.test(this.#input.charAt(end))) end++;
    this.#ignoreTo(end);
  }

  #ignoreTo(end: number): void {
    this.#position = end;
    this.#countLines(this.#start, end);
    this.#start = end;
    this.#startLine = this.#line;
  }

  #emit(kind: TokenKind): true {
    this.#push(kind, this.#input.slice(this.#start, this.#position));
    this.#ignoreTo(this.#position);
    return true;
  }

  #push(kind: TokenKind, text: string): void {
    this.#tokens.push({ kind, text, position: this.#start, line: this.#startLine });
  }

  #fail(message: string, atEnd = false): false {
    if (atEnd) this.#countLines(this.#start, this.#position);
    this.#push("error", message);
    return false;
  }

  #countLines(from: number, to: number): void {
    for (let at = this.#input.indexOf("\n", from); at >= 0 && at < to; at = this.#input.indexOf("\n", at + 1)) {
      this.#line++;
    }
  }
}

/** `U+0023 '#'`, Go's `%#U`. */
function runeName(char: string): string {
  const code = char.codePointAt(0) ?? 0xfffd;
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")} '${char}'`;
}
