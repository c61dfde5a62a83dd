import { FunctionError } from "./errors.ts";
import type { FunctionMap, TemplateFunction } from "./functions.ts";
import { entriesOf, GO_MARSHALER, kindOf, type Value } from "./values.ts";

/** The functions that Docker's `--format` has on top of Go's own. */
export const DOCKER_FUNCTIONS: FunctionMap = {
  json: { parameters: ["any"], call: toJson },
  split: { parameters: ["string", "string"], call: (text, separator) => split(String(text), String(separator)) },
  join: { parameters: ["slice", "string"], call: (list, separator) => strings(list).join(String(separator)) },
  title: { parameters: ["string"], call: (text) => title(String(text)) },
  lower: { parameters: ["string"], call: (text) => String(text).toLowerCase() },
  upper: { parameters: ["string"], call: (text) => String(text).toUpperCase() },
  pad: pad(),
  truncate: {
    parameters: ["string", "int"],
    call: (text, length) => {
      const runes = [...String(text)];
      return Number(length) >= 0 && runes.length > Number(length)
        ? runes.slice(0, Number(length)).join("")
        : String(text);
    },
  },
};

/** For the heading of a `table`: they leave the column's name as it is, but for `pad`, which pads it. */
export const HEADER_FUNCTIONS: FunctionMap = {
  ...Object.fromEntries(
    ["json", "split", "join", "title", "lower", "upper", "truncate"].map((name) => [
      name,
      { parameters: ["any" as const], rest: "any" as const, call: (first: Value) => first },
    ]),
  ),
  pad: pad(),
};

function pad(): TemplateFunction {
  return {
    parameters: ["string", "int", "int"],
    // Docker leaves an empty text empty.
    call: (text, before, after) => (text === "" ? "" : spaces(before) + String(text) + spaces(after)),
  };
}

/** JSON as Go's encoder without HTML escaping writes it; maps of the `Map` kind come sorted, objects in their own order. */
function toJson(value: Value): string {
  const text = JSON.stringify(value ?? null, (_key, element: unknown) => {
    if (element instanceof Map) return Object.fromEntries(entriesOf(element));
    if (typeof element === "bigint") return Number(element);
    return element;
  });
  const escapesHtml = typeof value === "object" && value !== null && GO_MARSHALER in value;
  return text.replace(escapesHtml ? /[<>&\u2028\u2029]/g : /[\u2028\u2029]/g, unicodeEscape);
}

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function split(text: string, separator: string): string[] {
  if (separator === "") return [...text];
  return text.split(separator);
}

function strings(list: Value): string[] {
  if (kindOf(list) !== "slice") throw new FunctionError("join of something that is not a list");
  return (Array.isArray(list) ? list : []).map(String);
}

function title(text: string): string {
  return text.replace(
    /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
    (_match, before: string, letter: string) => before + letter.toUpperCase(),
  );
}

function spaces(count: Value): string {
  return " ".repeat(Math.min(Math.max(Number(count), 0), 1_000_000));
}
