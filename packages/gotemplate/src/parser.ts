import { TemplateError } from "./errors.ts";
import { type Token, tokenize } from "./lexer.ts";
import { parseNumber, unquote } from "./literals.ts";
import type { BranchNode, CommandNode, Node, Operand, PipeNode, VariableNode } from "./nodes.ts";
import { sourceOf } from "./nodes.ts";
import { quote } from "./printf.ts";

/** Deep enough for people, shallow enough for the stack. */
const MAX_DEPTH = 1000;

/** How an item list ended. `next` is set for `{{else if}}` and `{{else with}}`. */
interface End {
  readonly kind: "end" | "else";
  readonly next?: "if" | "with";
}

/** The parsed template and all that it defines, by name. */
export type TemplateSet = Map<string, readonly Node[]>;

/** Parses `text` as the template `name`. Throws `TemplateError` worded as Go's `text/template/parse`. */
export function parse(name: string, text: string, isFunction: (name: string) => boolean): TemplateSet {
  const parser = new Parser(name, text, isFunction);
  parser.parse();
  return parser.templates;
}

class Parser {
  readonly templates: TemplateSet = new Map();
  readonly #name: string;
  readonly #tokens: readonly Token[];
  readonly #isFunction: (name: string) => boolean;
  #next = 0;
  #variables: string[] = ["$"];
  #rangeDepth = 0;
  #depth = 0;
  #actionLine = 0;

  constructor(name: string, text: string, isFunction: (name: string) => boolean) {
    this.#name = name;
    this.#tokens = tokenize(text);
    this.#isFunction = isFunction;
  }

  parse(): void {
    const root: Node[] = [];
    while (this.#peek().kind !== "eof") {
      if (this.#atDefinition()) {
        this.#define();
        continue;
      }
      const node = this.#textOrAction();
      if ("end" in node) this.#fail(`unexpected ${node.end.kind === "end" ? "{{end}}" : "{{else}}"}`);
      root.push(node.node);
    }
    this.#add(this.#name, root);
  }

  #add(name: string, list: readonly Node[]): void {
    const known = this.templates.get(name);
    if (known === undefined || isEmpty(known)) this.templates.set(name, list);
    else if (!isEmpty(list)) this.#fail(`template: multiple definition of template ${quote(name)}`);
  }

  #atDefinition(): boolean {
    if (this.#peek().kind !== "leftDelim") return false;
    const start = this.#next;
    this.#take();
    if (isKeyword(this.#takeNonSpace(), "define")) return true;
    this.#next = start;
    return false;
  }

  #define(): void {
    const token = this.#takeNonSpace();
    if (token.kind !== "string" && token.kind !== "rawString") this.#unexpected(token, "define clause");
    const name = this.#unquote(token);
    this.#expect("rightDelim", "define clause");
    this.#add(name, this.#body("define clause"));
  }

  /** The items of a definition, which has variables of its own. */
  #body(context: string): Node[] {
    const outer = { variables: this.#variables, rangeDepth: this.#rangeDepth };
    this.#variables = ["$"];
    this.#rangeDepth = 0;
    const { list, end } = this.#itemList();
    if (end.kind !== "end") this.#fail(`unexpected {{else}} in ${context}`);
    this.#variables = outer.variables;
    this.#rangeDepth = outer.rangeDepth;
    return list;
  }

  #itemList(): { list: Node[]; end: End } {
    const list: Node[] = [];
    while (this.#peekNonSpace().kind !== "eof") {
      const item = this.#textOrAction();
      if ("end" in item) return { list, end: item.end };
      list.push(item.node);
    }
    return this.#fail("unexpected EOF");
  }

  #textOrAction(): { node: Node } | { end: End } {
    const token = this.#takeNonSpace();
    if (token.kind === "text") return { node: { kind: "text", position: token.position, text: token.text } };
    if (token.kind !== "leftDelim") this.#unexpected(token, "input");
    this.#actionLine = token.line;
    const result = this.#action();
    this.#actionLine = 0;
    return result;
  }

  #action(): { node: Node } | { end: End } {
    const token = this.#peekNonSpace();
    if (token.kind === "keyword") {
      this.#takeNonSpace();
      switch (token.text) {
        case "if":
        case "range":
        case "with":
          return { node: this.#branch(token.text) };
        case "else":
          return { end: this.#else() };
        case "end":
          this.#expect("rightDelim", "end");
          return { end: { kind: "end" } };
        case "block":
          return { node: this.#block() };
        case "template":
          return { node: this.#template() };
        case "break":
        case "continue":
          return { node: this.#jump(token, token.text) };
      }
      this.#next--;
    }
    return { node: { kind: "action", position: token.position, pipe: this.#pipeline("command", "rightDelim") } };
  }

  #jump(token: Token, kind: "break" | "continue"): Node {
    const after = this.#takeNonSpace();
    if (after.kind !== "rightDelim") this.#unexpected(after, `{{${kind}}}`);
    if (this.#rangeDepth === 0) this.#fail(`{{${kind}}} outside {{range}}`);
    return { kind, position: token.position };
  }

  #else(): End {
    const token = this.#peekNonSpace();
    if (isKeyword(token, "if")) return { kind: "else", next: "if" };
    if (isKeyword(token, "with")) return { kind: "else", next: "with" };
    this.#expect("rightDelim", "else");
    return { kind: "else" };
  }

  #branch(kind: "if" | "range" | "with"): BranchNode {
    const variables = this.#variables.length;
    const pipe = this.#pipeline(kind, "rightDelim");
    if (kind === "range") this.#rangeDepth++;
    const { list, end } = this.#itemList();
    if (kind === "range") this.#rangeDepth--;
    const elseList = end.kind === "else" ? this.#elseList(kind, end) : undefined;
    this.#variables.length = variables;
    return { kind, position: pipe.position, pipe, list, ...(elseList === undefined ? {} : { elseList }) };
  }

  /** `{{else if}}` is an else list of one `if`, whose `{{end}}` serves both. */
  #elseList(kind: "if" | "range" | "with", end: End): Node[] {
    if (end.next !== undefined && end.next === kind) {
      this.#takeNonSpace();
      return [this.#branch(kind)];
    }
    const { list, end: last } = this.#itemList();
    if (last.kind !== "end") this.#fail("expected end; found {{else}}");
    return list;
  }

  #block(): Node {
    const token = this.#takeNonSpace();
    const name = this.#templateName(token, "block clause");
    const pipe = this.#pipeline("block clause", "rightDelim");
    this.#add(name, this.#body("block clause"));
    return { kind: "template", position: token.position, name, pipe };
  }

  #template(): Node {
    const token = this.#takeNonSpace();
    const name = this.#templateName(token, "template clause");
    if (this.#peekNonSpace().kind === "rightDelim") {
      this.#takeNonSpace();
      return { kind: "template", position: token.position, name };
    }
    const pipe = this.#pipeline("template clause", "rightDelim");
    return { kind: "template", position: token.position, name, pipe };
  }

  #templateName(token: Token, context: string): string {
    if (token.kind !== "string" && token.kind !== "rawString") this.#unexpected(token, context);
    return this.#unquote(token);
  }

  #pipeline(context: string, end: "rightDelim" | "rightParen"): PipeNode {
    const first = this.#peekNonSpace();
    const { declarations, isAssign } = this.#declarations(context);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.#takeNonSpace();
      if (token.kind === end) break;
      if (!startsOperand(token)) this.#unexpected(token, context);
      this.#next--;
      commands.push(this.#command());
    }
    this.#checkCommands(commands, context);
    return { kind: "pipe", position: first.position, line: first.line, isAssign, declarations, commands };
  }

  #declarations(context: string): { declarations: VariableNode[]; isAssign: boolean } {
    const declarations: VariableNode[] = [];
    while (this.#peekNonSpace().kind === "variable") {
      const start = this.#next;
      const variable = this.#takeNonSpace();
      const after = this.#takeNonSpace();
      const comma = after.kind === "character" && after.text === ",";
      if (!comma && after.kind !== "assign" && after.kind !== "declare") {
        this.#next = start;
        break;
      }
      declarations.push({ kind: "variable", position: variable.position, idents: [variable.text] });
      this.#variables.push(variable.text);
      if (!comma) return { declarations, isAssign: after.kind === "assign" };
      if (context !== "range" || declarations.length >= 2) this.#fail(`too many declarations in ${context}`);
      if (!["variable", "rightDelim", "rightParen"].includes(this.#peekNonSpace().kind)) {
        this.#fail("range can only initialize variables");
      }
    }
    return { declarations, isAssign: false };
  }

  #checkCommands(commands: readonly CommandNode[], context: string): void {
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.slice(1).forEach((command, index) => {
      if (["bool", "dot", "nil", "number", "string"].includes(command.args[0]?.kind ?? "")) {
        this.#fail(`non executable command in pipeline stage ${index + 2}`);
      }
    });
  }

  #command(): CommandNode {
    const position = this.#peekNonSpace().position;
    const args: Operand[] = [];
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) args.push(operand);
      const token = this.#take();
      if (token.kind === "space") continue;
      if (token.kind === "rightDelim" || token.kind === "rightParen") this.#next--;
      else if (token.kind !== "pipe") this.#unexpected(token, "operand");
      break;
    }
    if (args.length === 0) this.#fail("empty command");
    return { kind: "command", position, args };
  }

  #operand(): Operand | undefined {
    const node = this.#term();
    if (node === undefined || this.#peek().kind !== "field") return node;
    const position = this.#peek().position;
    const fields: string[] = [];
    while (this.#peek().kind === "field") fields.push(this.#take().text.slice(1));
    switch (node.kind) {
      case "field":
      case "variable":
        return { ...node, position, idents: [...node.idents, ...fields] };
      case "bool":
      case "string":
      case "number":
      case "nil":
      case "dot":
        return this.#fail(`unexpected . after term ${quote(sourceOf(node))}`);
      default:
        return { kind: "chain", position, node, fields };
    }
  }

  #term(): Operand | undefined {
    const token = this.#takeNonSpace();
    const { position, text } = token;
    switch (token.kind) {
      case "identifier":
        if (!this.#isFunction(text)) this.#fail(`function ${quote(text)} not defined`);
        return { kind: "identifier", position, name: text };
      case "dot":
        return { kind: "dot", position };
      case "nil":
        return { kind: "nil", position };
      case "bool":
        return { kind: "bool", position, value: text === "true" };
      case "variable":
        if (!this.#variables.includes(text)) this.#fail(`undefined variable ${quote(text)}`);
        return { kind: "variable", position, idents: [text] };
      case "field":
        return { kind: "field", position, idents: [text.slice(1)] };
      case "number":
      case "charConstant":
        return { kind: "number", position, text, ...this.#number(token) };
      case "string":
      case "rawString":
        return { kind: "string", position, text: this.#unquote(token), quoted: text };
      case "leftParen":
        return this.#parenthesized();
    }
    this.#next--;
    return undefined;
  }

  #parenthesized(): PipeNode {
    if (this.#depth >= MAX_DEPTH) this.#fail("max expression depth exceeded");
    this.#depth++;
    const pipe = this.#pipeline("parenthesized pipeline", "rightParen");
    this.#depth--;
    return pipe;
  }

  #number(token: Token): { value: number | bigint; isInt: boolean } {
    const number = parseNumber(token.text);
    if (typeof number === "string") this.#fail(number);
    return number;
  }

  #unquote(token: Token): string {
    const text = unquote(token.text);
    if (text === undefined) this.#fail("invalid syntax");
    return text;
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? this.#last();
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #peekNonSpace(): Token {
    while (this.#peek().kind === "space") this.#next++;
    return this.#peek();
  }

  #takeNonSpace(): Token {
    this.#peekNonSpace();
    return this.#take();
  }

  #expect(kind: Token["kind"], context: string): Token {
    const token = this.#takeNonSpace();
    if (token.kind !== kind) this.#unexpected(token, context);
    return token;
  }

  #last(): Token {
    return this.#tokens.at(-1) ?? { kind: "eof", text: "", position: 0, line: 1 };
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind !== "error") this.#fail(`unexpected ${tokenName(token)} in ${context}`);
    if (this.#actionLine === 0 || this.#actionLine === token.line) this.#fail(token.text);
    const inAction = token.text.endsWith(" action") ? "" : " in action";
    this.#fail(`${token.text}${inAction} started at ${this.#name}:${this.#actionLine}`);
  }

  #fail(message: string): never {
    const token = this.#tokens[Math.max(0, this.#next - 1)] ?? this.#last();
    throw new TemplateError("parse", `template: ${this.#name}:${token.line}: ${message}`);
  }
}

function startsOperand(token: Token): boolean {
  switch (token.kind) {
    case "bool":
    case "charConstant":
    case "dot":
    case "field":
    case "identifier":
    case "number":
    case "nil":
    case "rawString":
    case "string":
    case "variable":
    case "leftParen":
      return true;
    default:
      return false;
  }
}

function isKeyword(token: Token, word: string): boolean {
  return token.kind === "keyword" && token.text === word;
}

/** Go's `item.String`. */
function tokenName(token: Token): string {
  if (token.kind === "eof") return "EOF";
  if (token.kind === "keyword" || token.kind === "dot" || token.kind === "nil") return `<${token.text}>`;
  const runes = [...token.text];
  return runes.length > 10 ? `${quote(runes.slice(0, 10).join(""))}...` : quote(token.text);
}

function isEmpty(list: readonly Node[]): boolean {
  return list.every((node) => node.kind === "text" && node.text.trim() === "");
}
