import { entriesOf, Float, kindOf, structName, TypedNil, toFloat, typeName, type Value } from "./values.ts";

/** Go's `fmt.Sprint`: a space between operands when neither is a string. */
export function sprint(values: readonly Value[]): string {
  let text = "";
  values.forEach((value, index) => {
    const previous = values[index - 1];
    if (index > 0 && typeof value !== "string" && typeof previous !== "string") text += " ";
    text += format(value);
  });
  return text;
}

/** Go's `fmt.Sprintln`. */
export function sprintln(values: readonly Value[]): string {
  return `${values.map(format).join(" ")}\n`;
}

/** Go's `%v`. */
export function format(value: Value): string {
  switch (kindOf(value)) {
    case "invalid":
    case "nil":
      return "<nil>";
    case "float":
      return formatFloat(toFloat(value), "g", -1);
    case "slice":
      return value instanceof TypedNil ? "[]" : `[${(value as Value[]).map(format).join(" ")}]`;
    case "map":
      // A struct prints its fields in their own order, without names.
      if (structName(value) !== undefined)
        return `{${Object.values(value as object)
          .map(format)
          .join(" ")}}`;
      return `map[${entriesOf(value)
        .map(([key, element]) => `${key}:${format(element)}`)
        .join(" ")}]`;
    case "pointer":
      return "<nil>";
    case "func":
      return "0x0";
    default:
      return String(value);
  }
}

/** Go's `strconv.Quote`. */
export function quote(text: string, ascii = false): string {
  let quoted = '"';
  for (const char of text) quoted += quoteChar(char, '"', ascii);
  return `${quoted}"`;
}

const ESCAPED: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

function quoteChar(char: string, mark: string, ascii: boolean): string {
  if (char === mark) return `\\${mark}`;
  const known = ESCAPED[char];
  if (known !== undefined) return known;
  const code = char.codePointAt(0) ?? 0;
  if (code >= 0x20 && code < 0x7f) return char;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (!ascii && /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) return char;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

interface Flags {
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width?: number;
  precision?: number;
}

const DIRECTIVE = /([+\-# 0]*)(\[\d+\])?(\*|\d+)?(?:\.(\[\d+\])?(\*|\d+)?)?(\[\d+\])?/y;
/** A width from a template must not make a string that fills the memory; Go's own limit. */
const MAX_WIDTH = 1_000_000;

/** Go's `fmt.Sprintf` for the values of this package. */
export function sprintf(pattern: string, values: readonly Value[]): string {
  let text = "";
  let next = 0;
  let reordered = false;
  for (let at = 0; at < pattern.length; ) {
    const percent = pattern.indexOf("%", at);
    if (percent < 0) return finish(text + pattern.slice(at), values, next, reordered);
    text += pattern.slice(at, percent);
    DIRECTIVE.lastIndex = percent + 1;
    const match = DIRECTIVE.exec(pattern);
    at = DIRECTIVE.lastIndex;
    const verb = String.fromCodePoint(pattern.codePointAt(at) ?? 0x25);
    if (at >= pattern.length) return finish(`${text}%!(NOVERB)`, values, next, reordered);
    at += verb.length;
    const flags = readFlags(match?.[1] ?? "");
    const take = (): Value => values[next++];
    const reorder = (index: string | undefined) => {
      if (index === undefined) return;
      next = Number(index.slice(1, -1)) - 1;
      reordered = true;
    };
    reorder(match?.[2]);
    if (match?.[3] !== undefined) setWidth(flags, match[3] === "*" ? Number(take()) : Number(match[3]));
    reorder(match?.[4]);
    if (match?.[0].includes(".")) flags.precision = match[5] === "*" ? Number(take()) : Number(match[5] ?? 0);
    reorder(match?.[6]);
    if (verb === "%") text += "%";
    else if (next >= values.length || next < 0) text += reordered ? `%!${verb}(BADINDEX)` : `%!${verb}(MISSING)`;
    else text += formatVerb(take(), verb, flags);
  }
  return finish(text, values, next, reordered);
}

function finish(text: string, values: readonly Value[], used: number, reordered: boolean): string {
  if (reordered || used >= values.length) return text;
  const extra = values.slice(used).map((value) => (isNil(value) ? "<nil>" : `${goType(value)}=${format(value)}`));
  return `${text}%!(EXTRA ${extra.join(", ")})`;
}

function readFlags(text: string): Flags {
  const minus = text.includes("-");
  return {
    minus,
    plus: text.includes("+"),
    sharp: text.includes("#"),
    space: text.includes(" "),
    zero: text.includes("0") && !minus,
  };
}

function setWidth(flags: Flags, width: number): void {
  if (width < 0) {
    flags.minus = true;
    flags.zero = false;
  }
  flags.width = Math.min(Math.abs(width), MAX_WIDTH);
}

function formatVerb(value: Value, verb: string, flags: Flags): string {
  // With %v a plus asks for the names of fields, not for a sign.
  if (verb === "v" && flags.plus) return formatVerb(value, verb, { ...flags, plus: false });
  if (verb === "T") return pad(isNil(value) ? "<nil>" : goType(value), flags);
  const kind = kindOf(value);
  if (isNil(value)) return verb === "v" ? pad("<nil>", flags) : `%!${verb}(<nil>)`;
  if (kind === "pointer")
    return verb === "v" || verb === "s" ? pad(verb === "v" ? "<nil>" : "%!s(<nil>)", flags) : `%!${verb}(<nil>)`;
  if (kind === "slice") return formatList(value, verb, flags);
  if (kind === "map") return formatMap(value, verb, flags);
  const text = formatScalar(value, verb, flags);
  return text ?? `%!${verb}(${goType(value)}=${formatScalar(value, "v", flags) ?? format(value)})`;
}

function formatList(value: Value, verb: string, flags: Flags): string {
  const elements = value instanceof TypedNil ? [] : (value as Value[]);
  const items = elements.map((element) => formatVerb(element, verb, flags));
  if (verb === "v" && flags.sharp) return `[]interface {}{${items.join(", ")}}`;
  return `[${items.join(" ")}]`;
}

function formatMap(value: Value, verb: string, flags: Flags): string {
  const items = entriesOf(value).map(
    ([key, element]) => `${formatVerb(key, verb, flags)}:${formatVerb(element, verb, flags)}`,
  );
  if (verb === "v" && flags.sharp) return `map[string]interface {}{${items.join(", ")}}`;
  return `map[${items.join(" ")}]`;
}

function formatScalar(value: Value, verb: string, flags: Flags): string | undefined {
  switch (kindOf(value)) {
    case "bool":
      return verb === "t" || verb === "v" ? pad(String(value), flags) : undefined;
    case "int":
      return formatInt(BigInt(value as number | bigint), verb, flags);
    case "float":
      return formatFloatVerb(toFloat(value), verb, flags);
    case "string":
      return formatString(value as string, verb, flags);
    default:
      return verb === "v" ? pad(format(value), flags) : undefined;
  }
}

const BASES: Readonly<Record<string, number>> = { d: 10, v: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
const PREFIXES: Readonly<Record<string, string>> = { b: "0b", o: "0", x: "0x", X: "0X" };

function formatInt(value: bigint, verb: string, flags: Flags): string | undefined {
  if (verb === "c") return pad(String.fromCodePoint(Number(value)), flags);
  if (verb === "q") return pad(`'${quoteChar(String.fromCodePoint(Number(value)), "'", flags.plus)}'`, flags);
  if (verb === "U") return pad(`U+${value.toString(16).toUpperCase().padStart(4, "0")}`, flags);
  const base = BASES[verb];
  if (base === undefined) return undefined;
  const sign = value < 0n ? "-" : flags.plus ? "+" : flags.space ? " " : "";
  let digits = (value < 0n ? -value : value).toString(base);
  if (verb === "X") digits = digits.toUpperCase();
  if (flags.precision !== undefined) {
    if (flags.precision === 0 && value === 0n) return pad("", { ...flags, zero: false });
    digits = digits.padStart(Math.min(flags.precision, MAX_WIDTH), "0");
  }
  const prefix = verb === "O" ? "0o" : flags.sharp ? (PREFIXES[verb] ?? "") : "";
  return padNumber(sign + prefix, digits, flags, flags.precision === undefined);
}

function formatFloatVerb(value: number, verb: string, flags: Flags): string | undefined {
  const kind = verb === "v" ? "g" : verb === "F" ? "f" : verb;
  if (!"eEfgG".includes(kind)) return undefined;
  const precision = flags.precision ?? (kind === "g" || kind === "G" ? -1 : 6);
  const text = formatFloat(Math.abs(value), kind, precision);
  const negative = value < 0 || Object.is(value, -0);
  return padNumber(negative ? "-" : flags.plus ? "+" : flags.space ? " " : "", text, flags, Number.isFinite(value));
}

/** The exponent from which Go writes the shortest form of a float as `1e+21`. */
const SHORTEST_LIMIT = 6;

/** Go's `strconv.FormatFloat` for e, f and g; -1 means as many digits as the value needs. */
export function formatFloat(value: number, verb: string, precision: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const lower = verb.toLowerCase();
  const text =
    lower === "f" ? value.toFixed(precision < 0 ? 0 : Math.min(precision, 100)) : scientific(value, lower, precision);
  return verb === lower ? text : text.toUpperCase();
}

function scientific(value: number, verb: string, precision: number): string {
  const wanted = precision < 0 ? undefined : verb === "g" ? Math.max(precision, 1) - 1 : precision;
  const [mantissa = "0", exponentText = "0"] = value
    .toExponential(wanted === undefined ? undefined : Math.min(wanted, 100))
    .split("e");
  const exponent = Number(exponentText);
  const digits = mantissa.replace(/[-.]/g, "");
  if (verb === "e") return `${mantissa}e${exponentSuffix(exponent)}`;
  const limit = precision < 0 ? SHORTEST_LIMIT : Math.max(precision, 1);
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  if (exponent < -4 || exponent >= limit) return `${short}e${exponentSuffix(exponent)}`;
  const fixed = value.toFixed(Math.min(100, Math.max(0, digits.length - 1 - exponent)));
  return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
}

function exponentSuffix(exponent: number): string {
  return `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function formatString(value: string, verb: string, flags: Flags): string | undefined {
  const text = flags.precision === undefined ? value : [...value].slice(0, flags.precision).join("");
  switch (verb) {
    case "v":
      return pad(flags.sharp ? quote(text) : text, flags);
    case "s":
      return pad(text, flags);
    case "q":
      return pad(
        flags.sharp && !/[`\x00-\x08\x0a-\x1f\x7f]/.test(text) ? `\`${text}\`` : quote(text, flags.plus),
        flags,
      );
    case "x":
    case "X": {
      const bytes = [...Buffer.from(text)].map((byte) => byte.toString(16).padStart(2, "0"));
      const hex = (flags.sharp && bytes.length > 0 ? "0x" : "") + bytes.join(flags.space ? " " : "");
      return pad(verb === "x" ? hex : hex.toUpperCase(), flags);
    }
    default:
      return undefined;
  }
}

function pad(text: string, flags: Flags): string {
  const missing = (flags.width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  if (flags.minus) return text + " ".repeat(missing);
  return (flags.zero ? "0" : " ").repeat(missing) + text;
}

/** Zeros go between the sign and the digits, spaces before both. */
function padNumber(sign: string, digits: string, flags: Flags, zeros: boolean): string {
  const missing = (flags.width ?? 0) - sign.length - digits.length;
  if (missing > 0 && flags.zero && zeros) return sign + "0".repeat(missing) + digits;
  return pad(sign + digits, { ...flags, zero: false });
}

function isNil(value: Value): boolean {
  return value === undefined || value === null;
}

function goType(value: Value): string {
  return value instanceof Float ? "float64" : typeName(value);
}
