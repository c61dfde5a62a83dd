import { didYouMean, harmlessPattern, parseDuration, SlipwayError } from "@slipway/base";

/** Query filters as the API sends them: each name with the values that are allowed, any of which may match. */
export type Filters = Readonly<Record<string, readonly string[]>>;

/** Throws `invalid` for a filter that the list does not know, as Docker words it. */
export function checkFilters(filters: Filters, known: readonly string[]): void {
  for (const name of Object.keys(filters)) {
    if (known.includes(name)) continue;
    throw new SlipwayError("invalid", `invalid filter '${name}'`, {
      hint: `Known filters: ${known.join(", ")}.`,
      ...didYouMean(name, known),
    });
  }
}

/** The values of a filter, or undefined when it is not given. */
export function filterValues(filters: Filters, name: string): readonly string[] | undefined {
  const values = filters[name];
  return values === undefined || values.length === 0 ? undefined : values;
}

/** One true-or-false filter. Throws `invalid` for anything else or for contradictory values. */
export function booleanFilter(filters: Filters, name: string): boolean | undefined {
  const values = filterValues(filters, name);
  if (values === undefined) return undefined;
  const meanings = new Set(values.map((value) => truth(name, value)));
  if (meanings.size > 1) throw invalidValue(name, values);
  return meanings.has(true);
}

function truth(name: string, value: string): boolean {
  if (["1", "t", "T", "true", "True", "TRUE"].includes(value)) return true;
  if (["0", "f", "F", "false", "False", "FALSE"].includes(value)) return false;
  throw invalidValue(name, [value]);
}

function invalidValue(name: string, values: readonly string[]): SlipwayError {
  return new SlipwayError("invalid", `invalid filter '${name}=[${values.join(" ")}]'`, {
    hint: "Write true or false.",
  });
}

/** Docker's `label` and `label!` filters: every `label` must be there, no `label!` may be. `key` or `key=value`. */
export function labelsMatch(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  const has = (wanted: string): boolean => {
    const cut = wanted.indexOf("=");
    const key = cut < 0 ? wanted : wanted.slice(0, cut);
    return Object.hasOwn(labels, key) && (cut < 0 || labels[key] === wanted.slice(cut + 1));
  };
  return (filters.label ?? []).every(has) && !(filters["label!"] ?? []).some(has);
}

/** Whether one of the values is a part of, or as a regular expression matches, one of the texts (Docker's `Match`). */
export function matchesPattern(values: readonly string[] | undefined, ...texts: readonly string[]): boolean {
  if (values === undefined || values.length === 0) return true;
  return values.some((value) => texts.some((text) => text === value || patternMatches(value, text)));
}

/** One that could backtrack without end is only ever compared as plain text. */
function patternMatches(pattern: string, text: string): boolean {
  return harmlessPattern(pattern)?.test(text) ?? text.includes(pattern);
}

/**
 * The `until` filter of prune commands in milliseconds since the epoch: a duration back from now (`24h`), seconds since the
 * epoch, or a date. Throws `invalid`.
 */
export function untilFilter(filters: Filters, now: number): number | undefined {
  const values = filterValues(filters, "until");
  if (values === undefined) return undefined;
  if (values.length > 1) throw new SlipwayError("invalid", "more than one until filter specified");
  const text = values[0] ?? "";
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(date)) return date;
  return now - parseDuration(text) / 1e6;
}
