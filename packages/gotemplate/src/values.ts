/**
 * Go's values as this package represents them.
 *
 * | JavaScript | Go |
 * |---|---|
 * | `undefined` | no value (a missing map key) |
 * | `null` | nil in an interface |
 * | boolean, string | bool, string |
 * | bigint, whole number | int |
 * | other number, `Float` | float64 |
 * | array | `[]interface {}` |
 * | plain object, `Map` with string keys | `map[string]interface {}` |
 * | `TypedNil` | a nil map, slice or pointer of a known type |
 * | function | a function, or as a field of an object a method |
 *
 * Fields are looked up along the prototype chain, but printed, ranged over and encoded only when they are the object's own:
 * a prototype can thus supply what Go's structs have and JSON leaves out.
 */
export type Value = unknown;

export type Callable = (...args: Value[]) => Value;

/** A float64, also when it is a whole number. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  toJSON(): number {
    return this.value;
  }
}

export type NilKind = "map" | "slice" | "pointer";

/** On an object or its prototype: the name of the Go struct that it stands for. Such an object has no other fields. */
export const GO_TYPE: unique symbol = Symbol("Go type");

/** On an object or its prototype: its Go type makes its own JSON, in which `<`, `>` and `&` are escaped. */
export const GO_MARSHALER: unique symbol = Symbol("Go marshaler");

/** On a map or its prototype: what `index` gives for a key that is not there. Without it: no value. */
export const ELEMENT_ZERO: unique symbol = Symbol("zero of the elements");

export function structName(value: Value): string | undefined {
  return typeof value === "object" && value !== null && GO_TYPE in value ? String(value[GO_TYPE]) : undefined;
}

/** A nil that knows its type, so that it prints as `map[]`, `[]` or `<nil>`. */
export class TypedNil {
  readonly kind: NilKind;

  constructor(kind: NilKind) {
    this.kind = kind;
  }

  toJSON(): null {
    return null;
  }
}

export type Kind =
  | "invalid"
  | "nil"
  | "bool"
  | "int"
  | "float"
  | "string"
  | "slice"
  | "map"
  | "pointer"
  | "func"
  | "other";

export function kindOf(value: Value): Kind {
  switch (typeof value) {
    case "undefined":
      return "invalid";
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return Number.isInteger(value) ? "int" : "float";
    case "string":
      return "string";
    case "function":
      return "func";
    case "object":
      if (value === null) return "nil";
      if (Array.isArray(value)) return "slice";
      if (value instanceof Float) return "float";
      if (value instanceof TypedNil) return value.kind;
      return "map";
    default:
      return "other";
  }
}

/** The name of Go's type, for errors. */
export function typeName(value: Value): string {
  const kind = kindOf(value);
  switch (kind) {
    case "float":
      return "float64";
    case "slice":
      return "[]interface {}";
    case "map":
      return "map[string]interface {}";
    case "func":
      return "func()";
    case "nil":
    case "invalid":
      return "interface {}";
    default:
      return kind;
  }
}

export function isTrue(value: Value): boolean {
  switch (kindOf(value)) {
    case "bool":
      return value === true;
    case "int":
      return Number(value) !== 0;
    case "float":
      return toFloat(value) !== 0;
    case "string":
      return value !== "";
    case "slice":
    case "map":
      return sizeOf(value) > 0;
    case "func":
    case "other":
      return true;
    default:
      return false;
  }
}

export function toFloat(value: Value): number {
  return value instanceof Float ? value.value : Number(value);
}

/** Elements of a slice or map, bytes of a string; undefined when the value has no length. */
export function lengthOf(value: Value): number | undefined {
  const kind = kindOf(value);
  if (kind === "string") return Buffer.byteLength(value as string);
  return kind === "slice" || kind === "map" ? sizeOf(value) : undefined;
}

function sizeOf(value: Value): number {
  if (value instanceof TypedNil) return 0;
  if (value instanceof Map) return value.size;
  return Array.isArray(value) ? value.length : Object.keys(value as object).length;
}

/** The element of a map, along the prototype chain but never from `Object.prototype`; undefined when there is none. */
export function elementOf(map: Value, key: string): Value {
  if (map instanceof Map) return map.get(key);
  for (let object = map; typeof object === "object" && object !== null && object !== Object.prototype; ) {
    if (Object.hasOwn(object, key)) return (object as Record<string, Value>)[key];
    object = Object.getPrototypeOf(object);
  }
  return undefined;
}

/** What `index` finds under a key of a map. */
export function indexOf(map: Value, key: string): Value {
  const element = elementOf(map, key);
  if (element !== undefined || typeof map !== "object" || map === null || !(ELEMENT_ZERO in map)) return element;
  return map[ELEMENT_ZERO];
}

/** Keys and values of a map, sorted by key as Go prints and ranges over them. */
export function entriesOf(map: Value): [string, Value][] {
  if (map instanceof TypedNil) return [];
  const entries = map instanceof Map ? [...(map as Map<string, Value>)] : Object.entries(map as Record<string, Value>);
  return entries.sort(([a], [b]) => compareBytes(a, b));
}

/** Go compares strings by bytes, JavaScript by UTF-16 units; they differ above the basic plane only. */
export function compareBytes(a: string, b: string): number {
  if (/[\ud800-\udfff]/.test(a + b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
}
