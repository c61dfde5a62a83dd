import { JsonReader, parseDuration, SlipwayError } from "@slipway/base";
import type { Filters } from "./backend.ts";

const FALSE_WORDS = new Set(["", "0", "no", "false", "none"]);

/** A request's query, read with Docker's rules. */
export class Query {
  readonly #text: string;
  #parsed: URLSearchParams | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  get #values(): URLSearchParams {
    return (this.#parsed ??= new URLSearchParams(this.#text));
  }

  /** The value, or undefined when it is absent or empty: clients send empty for "not given". */
  string(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value?.includes("\0")) throw new SlipwayError("invalid", `query parameter ${name} has a zero byte`);
    return value === null || value === "" ? undefined : value;
  }

  strings(name: string): string[] {
    return this.#values.getAll(name).filter((value) => value !== "");
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** As Docker: absent, empty, 0, no, false and none are false. */
  boolean(name: string, absent = false): boolean {
    const value = this.#values.get(name);
    return value === null ? absent : !FALSE_WORDS.has(value.trim().toLowerCase());
  }

  /** An integer, negative ones too. Throws `invalid`. */
  integer(name: string): number | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!Number.isSafeInteger(number) || !/^-?\d+$/.test(value)) {
      throw new SlipwayError("invalid", `query parameter ${name}: '${value.slice(0, 100)}' is not an integer`);
    }
    return number;
  }

  /** A point in time as nanoseconds: Unix seconds with a fraction, RFC 3339, or a duration before now (`10m`). Throws `invalid`. */
  time(name: string): bigint | undefined {
    const value = this.string(name);
    return value === undefined ? undefined : parseTime(value, `query parameter ${name}`);
  }

  /** A JSON parameter: `null` and absent are undefined. */
  json(name: string): JsonReader | undefined {
    const value = this.string(name);
    return value === undefined ? undefined : JsonReader.parse(value, `query parameter ${name}`).optional();
  }

  /** A JSON parameter that may be there several times. */
  jsons(name: string): JsonReader[] {
    return this.strings(name).map((value) => JsonReader.parse(value, `query parameter ${name}`));
  }

  /** `filters`: `{"name":["value"]}`, or the older `{"name":{"value":true}}`. */
  filters(): Filters {
    const reader = this.json("filters");
    if (reader === undefined) return {};
    return Object.fromEntries(reader.keys().map((key) => [key, filterValues(reader.field(key))]));
  }
}

function filterValues(reader: JsonReader): string[] {
  if (Array.isArray(reader.value)) return reader.strings();
  return reader.keys().filter((key) => reader.field(key).value === true);
}

/** Nanoseconds of `1136073600.000000001` or `2006-01-02T15:04:05.999999999Z`. Throws `invalid`. */
export function parseTime(text: string, what: string): bigint {
  const unix = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text);
  if (unix !== null) return BigInt(unix[1] ?? "0") * 1_000_000_000n + fraction(unix[2]);
  const date = /^(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  const milliseconds = date === null ? Number.NaN : Date.parse(`${date[1]}${date[3] ?? "Z"}`);
  if (Number.isNaN(milliseconds)) {
    const ago = durationBefore(text);
    if (ago !== undefined) return ago;
    throw new SlipwayError("invalid", `${what}: '${text.slice(0, 100)}' is not a time`, {
      hint: "Give seconds since 1970 or a time such as 2026-01-02T15:04:05Z.",
    });
  }
  return BigInt(milliseconds) * 1_000_000n + fraction(date?.[2]);
}

/** `10m` and `1h30m` mean that long ago. */
function durationBefore(text: string): bigint | undefined {
  if (!/^\d/.test(text)) return undefined;
  try {
    return BigInt(Date.now()) * 1_000_000n - BigInt(Math.round(parseDuration(text)));
  } catch {
    return undefined;
  }
}

function fraction(digits: string | undefined): bigint {
  return digits === undefined ? 0n : BigInt(digits.padEnd(9, "0"));
}
