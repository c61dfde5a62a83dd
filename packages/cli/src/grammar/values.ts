import { parseDuration, parseSize } from "@slipway/base";
import type { Flag, FlagKind, KindValues } from "./flag.ts";

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

type Add<K extends FlagKind> = (text: string, before: KindValues[K] | undefined) => KindValues[K];

/** How a use of a flag changes its value. They throw an `Error` that tells what is wrong, worded as Docker does. */
const ADD: { readonly [K in FlagKind]: Add<K> } = {
  bool: (text) => {
    if (TRUE.has(text)) return true;
    if (FALSE.has(text)) return false;
    throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
  },
  string: (text) => text,
  list: (text, before = []) => [...before, text],
  strings: (text, before = []) => [...before, ...splitCsv(text)],
  int: (text) => integer(text, /^[+-]?\d+$/, "ParseInt"),
  uint: (text) => integer(text, /^\d+$/, "ParseUint"),
  decimal: (text) => {
    if (!/^\d+(\.\d+)?$|^\.\d+$/.test(text)) throw new Error(`failed to parse ${text} as a rational number`);
    const billionths = Number(text) * 1e9;
    if (Math.abs(billionths - Math.round(billionths)) > 1e-6) throw new Error("value is too precise");
    return Math.round(billionths);
  },
  bytes: (text) => (text === "-1" ? -1 : parseSize(text)),
  duration: (text) => parseDuration(text),
  filter: (text, before = {}) => {
    if (text === "") return before;
    const at = text.indexOf("=");
    if (at < 0) throw new Error("bad format of filter (expected name=value)");
    const name = text.slice(0, at).trim().toLowerCase();
    return { ...before, [name]: [...(before[name] ?? []), text.slice(at + 1).trim()] };
  },
};

const ZERO: KindValues = {
  bool: false,
  string: "",
  list: [],
  strings: [],
  int: 0,
  uint: 0,
  decimal: 0,
  bytes: 0,
  duration: 0,
  filter: {},
};

export function defaultOf<K extends FlagKind>(flag: Flag<K>): KindValues[K] {
  return flag.default ?? ZERO[flag.kind];
}

/** The flag's value after one more use; `before` is undefined at the first, so that a default list is replaced, not added to. */
export function addValue<K extends FlagKind>(
  flag: Flag<K>,
  text: string,
  before: KindValues[K] | undefined,
): KindValues[K] {
  flag.check?.(text);
  if (flag.choices !== undefined && !flag.choices.includes(text)) {
    throw new Error(`expected one of ${flag.choices.join(", ")}`);
  }
  return ADD[flag.kind](text, before);
}

function integer(text: string, pattern: RegExp, name: string): number {
  const value = Number(text);
  if (!pattern.test(text)) throw new Error(`strconv.${name}: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (!Number.isSafeInteger(value))
    throw new Error(`strconv.${name}: parsing ${JSON.stringify(text)}: value out of range`);
  return value;
}

/** The fields of one line of comma-separated values; a field in quotation marks may hold commas. */
export function splitCsv(line: string): string[] {
  if (line === "") return [];
  const fields: string[] = [];
  let rest = line;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(rest);
    if (quoted !== null) {
      fields.push((quoted[1] ?? "").replaceAll('""', '"'));
      if (quoted[2] === "") return fields;
      rest = rest.slice(quoted[0].length);
      continue;
    }
    if (rest.startsWith('"')) throw new Error(`parse error on line 1: extraneous or missing " in quoted-field`);
    const comma = rest.indexOf(",");
    const field = comma < 0 ? rest : rest.slice(0, comma);
    if (field.includes('"')) throw new Error('parse error on line 1: bare " in non-quoted-field');
    fields.push(field);
    if (comma < 0) return fields;
    rest = rest.slice(comma + 1);
  }
}
