import { harmlessPattern } from "@slipway/base";
import type { Container, LogRecord } from "../backend.ts";
import { nanoTimestamp } from "../shapes/time.ts";

/** What stands before a line of a container's log: its time, then the details, as the client asked for them; nothing if it did not. */
export function linePrefix(
  container: Container,
  wants: { readonly timestamps: boolean; readonly details: boolean },
): ((record: LogRecord) => string) | undefined {
  if (!wants.timestamps && !wants.details) return undefined;
  const details = wants.details ? `${logAttributes(container)} ` : "";
  return (record) => (wants.timestamps ? `${nanoTimestamp(record.time)} ${details}` : details);
}

/**
 * `key=value` of the labels and variables that the log options `labels`, `labels-regex`, `env` and `env-regex` name, sorted,
 * escaped as in a query. They are the same for every line, so they are read from the container and not from its log.
 */
function logAttributes({ config, hostConfig }: Container): string {
  const options = hostConfig.LogConfig?.Config ?? {};
  const variables = (config.Env ?? []).flatMap((entry): [string, string][] => {
    const at = entry.indexOf("=");
    return at < 0 ? [] : [[entry.slice(0, at), entry.slice(at + 1)]];
  });
  const attributes = new Map([
    ...selected(Object.entries(config.Labels ?? {}), options.labels, options["labels-regex"]),
    ...selected(variables, options.env, options["env-regex"]),
  ]);
  const tag = options.tag;
  if (tag !== undefined && tag !== "" && !tag.includes("{{")) attributes.set("tag", tag);
  return [...attributes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${escapeQuery(key)}=${escapeQuery(value)}`)
    .join(",");
}

/** Longer ones are not held against a pattern, which takes more than proportional time. */
const LONGEST_KEY = 256;

function selected(
  entries: readonly (readonly [string, string])[],
  names: string | undefined,
  pattern: string | undefined,
): (readonly [string, string])[] {
  const wanted = new Set((names ?? "").split(",").filter(Boolean));
  const expression = pattern ? harmlessPattern(pattern) : undefined;
  const isShort = (key: string) => key.length <= LONGEST_KEY;
  return entries.filter(([key]) => wanted.has(key) || (isShort(key) && expression?.test(key) === true));
}

/** Go's `url.QueryEscape`. */
function escapeQuery(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}
