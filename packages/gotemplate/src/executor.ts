import { FunctionError, TemplateError } from "./errors.ts";
import type { FunctionMap, ParameterType, TemplateFunction } from "./functions.ts";
import {
  type BranchNode,
  type CommandNode,
  type Node,
  type Operand,
  type PipeNode,
  sourceOf,
  type TemplateNode,
} from "./nodes.ts";
import type { TemplateSet } from "./parser.ts";
import { format, quote } from "./printf.ts";
import { elementOf, entriesOf, Float, isTrue, kindOf, structName, TypedNil, typeName, type Value } from "./values.ts";

const MAX_TEMPLATE_DEPTH = 1000;
/** A template must not be able to fill the memory: 64 Mi characters. */
const MAX_OUTPUT = 64 * 1024 * 1024;

/** No argument came through the pipe. */
const MISSING = Symbol("missing");

export interface Execution {
  readonly name: string;
  readonly text: string;
  readonly templates: TemplateSet;
  readonly functions: FunctionMap;
  /** What a missing map key gives: no value (Go's default) or an error. */
  readonly missingKey: "default" | "error";
}

interface Variable {
  readonly name: string;
  value: Value;
}

interface FieldAccess {
  readonly node: Operand;
  readonly field: string;
  /** Whether the receiver is itself a field's value. */
  readonly inner: boolean;
}

type Flow = "next" | "break" | "continue";

/** Runs a parsed template. Throws `TemplateError` with the place. */
export function execute(execution: Execution, data: Value): string {
  const root = execution.templates.get(execution.name);
  if (root === undefined) {
    const known = quote(execution.name);
    throw new TemplateError("execute", `template: ${execution.name}: ${known} is an incomplete or empty template`);
  }
  const output: Output = { text: "" };
  new State(execution, execution.name, output, 0, data).walk(data, root);
  return output.text;
}

interface Output {
  text: string;
}

class State {
  readonly #execution: Execution;
  readonly #templateName: string;
  readonly #output: Output;
  readonly #depth: number;
  readonly #variables: Variable[];
  #node: Node | Operand | CommandNode | undefined;

  constructor(execution: Execution, templateName: string, output: Output, depth: number, data: Value) {
    this.#execution = execution;
    this.#templateName = templateName;
    this.#output = output;
    this.#depth = depth;
    this.#variables = [{ name: "$", value: data }];
  }

  walk(dot: Value, list: readonly Node[]): Flow {
    for (const node of list) {
      const flow = this.#walkNode(dot, node);
      if (flow !== "next") return flow;
    }
    return "next";
  }

  #walkNode(dot: Value, node: Node): Flow {
    this.#node = node;
    switch (node.kind) {
      case "text":
        this.#write(node.text);
        return "next";
      case "action": {
        const value = this.#pipeline(dot, node.pipe);
        if (node.pipe.declarations.length === 0) this.#print(node, value);
        return "next";
      }
      case "if":
      case "with":
        return this.#branch(dot, node);
      case "range":
        return this.#range(dot, node);
      case "template":
        this.#template(dot, node);
        return "next";
      default:
        return node.kind;
    }
  }

  #write(text: string): void {
    this.#output.text += text;
    if (this.#output.text.length > MAX_OUTPUT) this.#fail("the output is too long");
  }

  #print(node: Node, value: Value): void {
    this.#node = node;
    if (typeof value === "function") this.#fail(`can't print ${sourceOf(node)} of type func()`);
    this.#write(value === undefined ? "<no value>" : format(value));
  }

  #branch(dot: Value, node: BranchNode): Flow {
    const mark = this.#variables.length;
    const value = this.#pipeline(dot, node.pipe);
    let flow: Flow = "next";
    if (isTrue(value)) flow = this.walk(node.kind === "with" ? value : dot, node.list);
    else if (node.elseList !== undefined) flow = this.walk(dot, node.elseList);
    this.#variables.length = mark;
    return flow;
  }

  #range(dot: Value, node: BranchNode): Flow {
    const outer = this.#variables.length;
    const value = this.#pipeline(dot, node.pipe);
    const mark = this.#variables.length;
    let ran = false;
    let flow: Flow = "next";
    for (const [index, element] of this.#elements(value, node)) {
      ran = true;
      this.#setRangeVariables(node.pipe, index, element);
      const inner = this.walk(element, node.list);
      this.#variables.length = mark;
      if (inner === "break") break;
    }
    if (!ran && node.elseList !== undefined) flow = this.walk(dot, node.elseList);
    this.#variables.length = outer;
    return flow;
  }

  #elements(value: Value, node: BranchNode): Iterable<[Value, Value]> {
    switch (kindOf(value)) {
      case "int":
        if (node.pipe.declarations.length > 1) {
          this.#fail(`can't use ${format(value)} to iterate over more than one variable`);
        }
        return countTo(Number(value));
      case "slice":
        return value instanceof TypedNil ? [] : (value as Value[]).entries();
      case "map":
        return entriesOf(value);
      case "invalid":
        return [];
      default:
        return this.#fail(`range can't iterate over ${format(value)}`);
    }
  }

  #setRangeVariables(pipe: PipeNode, index: Value, element: Value): void {
    const [first, second] = pipe.declarations;
    if (first === undefined) return;
    const values = second === undefined ? [element] : [index, element];
    pipe.declarations.forEach((declaration, at) => {
      if (pipe.isAssign) this.#assign(declaration.idents[0] ?? "", values[at]);
      else {
        const variable = this.#variables[this.#variables.length - pipe.declarations.length + at];
        if (variable !== undefined) variable.value = values[at];
      }
    });
  }

  #template(dot: Value, node: TemplateNode): void {
    const list = this.#execution.templates.get(node.name);
    if (list === undefined) this.#fail(`template ${quote(node.name)} not defined`);
    if (this.#depth >= MAX_TEMPLATE_DEPTH) this.#fail(`exceeded maximum template depth (${MAX_TEMPLATE_DEPTH})`);
    const data = node.pipe === undefined ? undefined : this.#pipeline(dot, node.pipe);
    new State(this.#execution, node.name, this.#output, this.#depth + 1, data).walk(data, list);
  }

  #pipeline(dot: Value, pipe: PipeNode): Value {
    this.#node = pipe;
    let value: Value = MISSING;
    for (const command of pipe.commands) {
      value = this.#command(dot, command, value);
      // A nil interface becomes no value once it has been through a pipeline.
      if (value === null) value = undefined;
    }
    for (const { idents } of pipe.declarations) {
      const name = idents[0] ?? "";
      if (pipe.isAssign) this.#assign(name, value);
      else this.#variables.push({ name, value });
    }
    return value;
  }

  #command(dot: Value, command: CommandNode, final: Value): Value {
    const [first] = command.args;
    if (first === undefined) return undefined;
    switch (first.kind) {
      case "field":
      case "variable":
      case "chain":
        return this.#chain(dot, first, command.args, final);
      case "identifier":
        return this.#function(dot, first, command, final);
      case "pipe":
        this.#notAFunction(command.args, final);
        return this.#pipeline(dot, first);
    }
    this.#node = first;
    this.#notAFunction(command.args, final);
    if (first.kind === "nil") this.#fail("nil is not a command");
    return this.#literal(dot, first);
  }

  #literal(dot: Value, node: Operand): Value {
    switch (node.kind) {
      case "dot":
        return dot;
      case "bool":
        return node.value;
      case "number":
        return node.isInt ? node.value : new Float(Number(node.value));
      case "string":
        return node.text;
      default:
        return undefined;
    }
  }

  #notAFunction(args: readonly Operand[], final: Value): void {
    const [first] = args;
    if (first !== undefined && (args.length > 1 || final !== MISSING)) {
      this.#fail(`can't give argument to non-function ${sourceOf(first)}`);
    }
  }

  /** `.A.B`, `$x.A.B` and `(pipeline).A.B`; only the last field may be a method with arguments. */
  #chain(dot: Value, node: Operand, args: readonly Operand[], final: Value): Value {
    this.#node = node;
    let receiver: Value = dot;
    let fields: readonly string[] = [];
    if (node.kind === "field") fields = node.idents;
    else if (node.kind === "variable") {
      receiver = this.#variable(node.idents[0] ?? "");
      fields = node.idents.slice(1);
      if (fields.length === 0) {
        this.#notAFunction(args, final);
        return receiver;
      }
    } else if (node.kind === "chain") {
      if (node.node.kind === "nil") this.#fail(`indirection through explicit nil in ${sourceOf(node)}`);
      receiver = this.#argument(dot, node.node, "any");
      fields = node.fields;
    }
    for (const [at, field] of fields.slice(0, -1).entries()) {
      receiver = this.#field(dot, { node, field, inner: at > 0 }, receiver, [], MISSING);
    }
    const last: FieldAccess = { node, field: fields.at(-1) ?? "", inner: fields.length > 1 };
    return this.#field(dot, last, receiver, args, final);
  }

  #field(dot: Value, access: FieldAccess, receiver: Value, args: readonly Operand[], final: Value): Value {
    const { node, field: name } = access;
    const kind = kindOf(receiver);
    if (kind === "invalid") {
      if (this.#execution.missingKey === "error") this.#fail(`nil data; no entry for key ${quote(name)}`);
      return undefined;
    }
    if (kind === "nil" || kind === "pointer") this.#fail(`nil pointer evaluating interface {}.${name}`);
    if (kind !== "map") {
      // What comes out of a map has the map's element type.
      const type = access.inner ? "interface {}" : typeName(receiver);
      this.#fail(`can't evaluate field ${name} in type ${type}`);
    }
    const value = elementOf(receiver, name);
    const struct = structName(receiver);
    if (value === undefined && struct !== undefined) this.#fail(`can't evaluate field ${name} in type ${struct}`);
    if (typeof value === "function") {
      const method: TemplateFunction = {
        parameters: Array.from({ length: value.length }, () => "any" as const),
        call: (...values) => value.apply(receiver, values),
      };
      return this.#call(dot, node, name, method, args, final);
    }
    if (args.length > 1 || final !== MISSING) this.#fail(`${name} is not a method but has arguments`);
    if (value === undefined && this.#execution.missingKey === "error") {
      this.#fail(`map has no entry for key ${quote(name)}`);
    }
    return value;
  }

  #function(dot: Value, node: Operand & { kind: "identifier" }, command: CommandNode | Operand, final: Value): Value {
    this.#node = node;
    const found = this.#execution.functions[node.name];
    if (found === undefined) this.#fail(`${quote(node.name)} is not a defined function`);
    const args = command.kind === "command" ? command.args : [node];
    return this.#call(dot, command, node.name, found, args, final);
  }

  #call(
    dot: Value,
    node: CommandNode | Operand,
    name: string,
    { parameters, rest, call }: TemplateFunction,
    args: readonly Operand[],
    final: Value,
  ): Value {
    const given = args.slice(1);
    const count = given.length + (final === MISSING ? 0 : 1);
    if (rest !== undefined && count < parameters.length) {
      this.#fail(`wrong number of args for ${name}: want at least ${parameters.length} got ${given.length}`);
    }
    if (rest === undefined && count !== parameters.length) {
      this.#fail(`wrong number of args for ${name}: want ${parameters.length} got ${count}`);
    }
    if (name === "and" || name === "or") return this.#shortCircuit(dot, name, given, final);
    const typeAt = (index: number): ParameterType => parameters[index] ?? rest ?? "any";
    const values = given.map((argument, index) => this.#argument(dot, argument, typeAt(index)));
    if (final !== MISSING) values.push(this.#checkType(final, typeAt(given.length)));
    try {
      return call(...values);
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      this.#node = node;
      return this.#fail(`error calling ${name}: ${error.message}`, error);
    }
  }

  #shortCircuit(dot: Value, name: "and" | "or", args: readonly Operand[], final: Value): Value {
    let value: Value;
    for (const argument of args) {
      value = this.#argument(dot, argument, "any");
      if (isTrue(value) === (name === "or")) return value;
    }
    return final === MISSING ? value : final;
  }

  #argument(dot: Value, node: Operand, type: ParameterType): Value {
    this.#node = node;
    switch (node.kind) {
      case "dot":
        return this.#checkType(dot, type);
      case "nil":
        if (type === "string" || type === "int") this.#fail(`cannot assign nil to ${type}`);
        return null;
      case "field":
      case "variable":
      case "chain":
        return this.#checkType(this.#chain(dot, node, [node], MISSING), type);
      case "pipe":
        return this.#checkType(this.#pipeline(dot, node), type);
      case "identifier":
        return this.#checkType(this.#function(dot, node, node, MISSING), type);
    }
    if (type === "string" && node.kind !== "string") this.#fail(`expected string; found ${sourceOf(node)}`);
    if (type === "int" && !(node.kind === "number" && node.isInt))
      this.#fail(`expected integer; found ${sourceOf(node)}`);
    if (type === "slice") this.#fail(`can't handle ${sourceOf(node)} for arg of type []string`);
    return this.#literal(dot, node);
  }

  #checkType(value: Value, type: ParameterType): Value {
    if (type === "any") return value;
    const wanted = type === "slice" ? "[]string" : type;
    const kind = kindOf(value);
    if (kind === "invalid") {
      if (type === "slice") return [];
      this.#fail(`invalid value; expected ${wanted}`);
    }
    if (kind !== type) this.#fail(`wrong type for value; expected ${wanted}; got ${typeName(value)}`);
    return value;
  }

  #variable(name: string): Value {
    for (let at = this.#variables.length - 1; at >= 0; at--) {
      const variable = this.#variables[at];
      if (variable?.name === name) return variable.value;
    }
    return this.#fail(`undefined variable: ${name}`);
  }

  #assign(name: string, value: Value): void {
    for (let at = this.#variables.length - 1; at >= 0; at--) {
      const variable = this.#variables[at];
      if (variable?.name !== name) continue;
      variable.value = value;
      return;
    }
    this.#fail(`undefined variable: ${name}`);
  }

  #fail(message: string, cause?: unknown): never {
    const { name, text } = this.#execution;
    if (this.#node === undefined)
      throw new TemplateError("execute", `template: ${this.#templateName}: ${message}`, cause);
    const before = text.slice(0, this.#node.position);
    const line = before.split("\n").length;
    const column = Buffer.byteLength(before.slice(before.lastIndexOf("\n") + 1));
    const place = `${name}:${line}:${column}: executing ${quote(this.#templateName)} at <${sourceOf(this.#node)}>`;
    throw new TemplateError("execute", `template: ${place}: ${message}`, cause);
  }
}

function* countTo(limit: number): Iterable<[Value, Value]> {
  for (let value = 0; value < limit; value++) yield [undefined, value];
}
