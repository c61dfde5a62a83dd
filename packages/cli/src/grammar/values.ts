import { nearest, parseDuration, parseSize } from "@slipway/base";
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
  int: (text) => integer(text, "ParseInt"),
  uint: (text) => integer(text, "ParseUint"),
  decimal: (text) => {
    const [, whole = "", , divisor = "1"] = /^((\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\/(\d+))?$/i.exec(text) ?? [];
    if (whole === "" || Number(divisor) === 0) throw new Error(`failed to parse ${text} as a rational number`);
    const billionths = (Number(whole) / Number(divisor)) * 1e9;
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
  if (flag.kind === "bytes" && flag.unlimited !== true && text === "-1") throw new Error("invalid size: '-1'");
  if (flag.choices !== undefined && !flag.choices.includes(text)) {
    const meant = nearest(text, flag.choices);
    throw new Error(
      `expected one of ${flag.choices.join(", ")}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
    );
  }
  return ADD[flag.kind](text, before);
}

/** As Go reads it: `0x`, `0o`, `0b` and a leading zero name the base, and digits may have underscores between them. */
function integer(text: string, name: "ParseInt" | "ParseUint"): number {
  const sign = name === "ParseInt" ? (/^[+-]/.exec(text)?.[0] ?? "") : "";
  const digits = text.slice(sign.length);
  const known = /^(0x_?[\da-f]+(_[\da-f]+)*|0o?_?[0-7]+(_[0-7]+)*|0b_?[01]+(_[01]+)*|[1-9]\d*(_\d+)*|0)$/i.test(digits);
  const plain = digits.replaceAll("_", "").replace(/^0(?=\d)/, "0o");
  const value = Number(plain) * (sign === "-" ? -1 : 1);
  if (!known) throw new Error(`strconv.${name}: parsing ${JSON.stringify(text)}: invalid syntax`);
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
