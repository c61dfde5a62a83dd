import { FunctionError } from "./errors.ts";
import { escapeHtml, escapeJs, escapeQuery } from "./escape.ts";
import { format, sprint, sprintf, sprintln } from "./printf.ts";
import {
  type Callable,
  compareBytes,
  indexOf,
  isTrue,
  kindOf,
  lengthOf,
  toFloat,
  typeName,
  type Value,
} from "./values.ts";

export type ParameterType = "any" | "string" | "int" | "slice";

/** A function that templates can call, with what Go knows from its type. */
export interface TemplateFunction {
  /** Types of the fixed parameters. */
  readonly parameters: readonly ParameterType[];
  /** The type of any further arguments; absent when there may be none. */
  readonly rest?: ParameterType;
  readonly call: Callable;
}

export type FunctionMap = Readonly<Record<string, TemplateFunction>>;

const any = (count: number): ParameterType[] => Array.from({ length: count }, () => "any");

/** What `text/template` itself offers. `and` and `or` do not evaluate what they need not; the executor sees to it. */
export const BUILTINS: FunctionMap = {
  and: { parameters: any(1), rest: "any", call: (...args) => args.at(-1) },
  or: { parameters: any(1), rest: "any", call: (...args) => args.at(-1) },
  not: { parameters: any(1), call: (value) => !isTrue(value) },
  call: { parameters: any(1), rest: "any", call: callValue },
  html: { parameters: [], rest: "any", call: (...args) => escapeHtml(textOf(args)) },
  js: { parameters: [], rest: "any", call: (...args) => escapeJs(textOf(args)) },
  urlquery: { parameters: [], rest: "any", call: (...args) => escapeQuery(textOf(args)) },
  len: { parameters: any(1), call: len },
  index: { parameters: any(1), rest: "any", call: index },
  slice: { parameters: any(1), rest: "any", call: slice },
  print: { parameters: [], rest: "any", call: (...args) => sprint(args) },
  printf: { parameters: ["string"], rest: "any", call: (pattern, ...args) => sprintf(String(pattern), args) },
  println: { parameters: [], rest: "any", call: (...args) => sprintln(args) },
  eq: { parameters: any(1), rest: "any", call: equalsAny },
  ne: { parameters: any(2), call: (a, b) => !equals(a, b) },
  lt: { parameters: any(2), call: (a, b) => less(a, b) },
  le: { parameters: any(2), call: (a, b) => less(a, b) || equals(a, b) },
  gt: { parameters: any(2), call: (a, b) => !(less(a, b) || equals(a, b)) },
  ge: { parameters: any(2), call: (a, b) => !less(a, b) },
};

/** A missing value is the text that it prints as. */
function textOf(args: readonly Value[]): string {
  return sprint(args.map((value) => value ?? "<no value>"));
}

function callValue(target: Value, ...args: Value[]): Value {
  if (target === undefined || target === null) throw new FunctionError("call of nil");
  if (typeof target !== "function")
    throw new FunctionError(`non-function ${format(target)} of type ${typeName(target)}`);
  return target(...args);
}

function len(value: Value): Value {
  if (value === undefined || value === null) throw new FunctionError("len of nil pointer");
  const length = lengthOf(value);
  if (length === undefined) throw new FunctionError(`len of type ${typeName(value)}`);
  return length;
}

function index(item: Value, ...keys: Value[]): Value {
  if (item === undefined || (item === null && keys.length > 0)) throw new FunctionError("index of untyped nil");
  return keys.reduce(indexOnce, item);
}

function indexOnce(item: Value, key: Value): Value {
  switch (kindOf(item)) {
    case "nil":
    case "invalid":
    case "pointer":
      throw new FunctionError("index of nil pointer");
    case "string": {
      const bytes = Buffer.from(item as string);
      return bytes[checkIndex(key, bytes.length)];
    }
    case "slice": {
      const elements = Array.isArray(item) ? (item as Value[]) : [];
      return elements[checkIndex(key, elements.length)];
    }
    case "map":
      if (key === undefined || key === null) throw new FunctionError("value is nil; should be of type string");
      if (typeof key !== "string") throw new FunctionError(`value has type ${typeName(key)}; should be string`);
      return indexOf(item, key);
    default:
      throw new FunctionError(`can't index item of type ${typeName(item)}`);
  }
}

function checkIndex(key: Value, length: number): number {
  const at = toIndex(key);
  if (at < 0 || at >= length) throw new FunctionError(`index out of range: ${at}`);
  return at;
}

function toIndex(key: Value): number {
  if (key === undefined || key === null) throw new FunctionError("cannot index slice/array with nil");
  if (kindOf(key) !== "int") throw new FunctionError(`cannot index slice/array with type ${typeName(key)}`);
  return Number(key);
}

function slice(item: Value, ...indexes: Value[]): Value {
  if (item === undefined || item === null) throw new FunctionError("slice of untyped nil");
  if (indexes.length > 3) throw new FunctionError(`too many slice indexes: ${indexes.length}`);
  const kind = kindOf(item);
  if (kind !== "string" && kind !== "slice") throw new FunctionError(`can't slice item of type ${typeName(item)}`);
  if (kind === "string" && indexes.length === 3) throw new FunctionError("cannot 3-index slice a string");
  const whole: Buffer | Value[] =
    kind === "string" ? Buffer.from(item as string) : Array.isArray(item) ? (item as Value[]) : [];
  const bounds = indexes.map((value) => checkBound(value, whole.length));
  const [from = 0, to = whole.length, capacity = whole.length] = bounds;
  if (from > to) throw new FunctionError(`invalid slice index: ${from} > ${to}`);
  if (to > capacity) throw new FunctionError(`invalid slice index: ${to} > ${capacity}`);
  return Buffer.isBuffer(whole) ? whole.subarray(from, to).toString() : whole.slice(from, to);
}

function checkBound(value: Value, length: number): number {
  const at = toIndex(value);
  if (at < 0 || at > length) throw new FunctionError(`index out of range: ${at}`);
  return at;
}

function equalsAny(first: Value, ...others: Value[]): Value {
  if (others.length === 0) throw new FunctionError("missing argument for comparison");
  return others.some((other) => equals(first, other));
}

function equals(a: Value, b: Value): boolean {
  const isNil = (value: Value) => value === undefined || value === null;
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b);
  const kind = kindOf(a);
  if (kind !== kindOf(b)) throw incompatible(a, b);
  if (basicKind(a) === undefined) throw new FunctionError(`non-comparable type ${format(a)}: ${typeName(a)}`);
  if (kind === "int") return BigInt(a as number) === BigInt(b as number);
  return kind === "float" ? toFloat(a) === toFloat(b) : a === b;
}

function less(a: Value, b: Value): boolean {
  const [left, right] = [basicKind(a), basicKind(b)];
  if (left === undefined || right === undefined) throw new FunctionError("invalid type for comparison");
  if (left !== right) throw incompatible(a, b);
  if (left === "bool") throw new FunctionError("invalid type for comparison");
  if (left === "string") return compareBytes(a as string, b as string) < 0;
  return left === "int" ? BigInt(a as number) < BigInt(b as number) : toFloat(a) < toFloat(b);
}

function incompatible(a: Value, b: Value): FunctionError {
  return new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
}

function basicKind(value: Value): "bool" | "int" | "float" | "string" | undefined {
  const kind = kindOf(value);
  return kind === "bool" || kind === "int" || kind === "float" || kind === "string" ? kind : undefined;
}
