import { type JsonReader, parseDuration, SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";

/** What is kept of the repositories whose names match. All times are in milliseconds. */
export interface RetentionRule {
  /** A pattern: `*` is any text, also with slashes. */
  readonly repositories: string;
  /** Tags that match one of these stay, and do not count. */
  readonly keep: readonly string[];
  /** The tags that were set last stay. */
  readonly keepLast?: number;
  /** Of the others those go that were set longer ago; all of them when it is absent. */
  readonly deleteOlderThan?: number;
  /** Manifests without a tag, and that no index or subject holds, go after this time. */
  readonly untaggedOlderThan?: number;
}

export interface DatedTag {
  readonly tag: string;
  readonly digest: Digest;
  readonly time: number;
}

/** The first rule that is for a repository; the others do not count. */
export function ruleFor(rules: readonly RetentionRule[], name: string): RetentionRule | undefined {
  return rules.find((rule) => matches(rule.repositories, name));
}

/** The tags that a rule removes, oldest first. */
export function expiredTags(rule: RetentionRule, tags: readonly DatedTag[], now: number): DatedTag[] {
  if (rule.keepLast === undefined && rule.deleteOlderThan === undefined) return [];
  const candidates = tags
    .filter(({ tag }) => !rule.keep.some((pattern) => matches(pattern, tag)))
    .toSorted((a, b) => b.time - a.time || (a.tag < b.tag ? -1 : 1));
  const { keepLast = 0, deleteOlderThan = 0 } = rule;
  return candidates
    .slice(keepLast)
    .filter(({ time }) => now - time >= deleteOlderThan)
    .toReversed();
}

/** Whether a text fits a pattern in which `*` is any text. Takes time in proportion to both, whatever the pattern. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*");
  const first = parts[0] ?? "";
  const last = parts.at(-1) ?? "";
  if (parts.length === 1) return pattern === text;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}

/** Reads a rule of the configuration file. Throws `invalid`. */
export function readRetentionRule(reader: JsonReader): RetentionRule {
  const known = ["repositories", "keep", "keepLast", "deleteOlderThan", "untaggedOlderThan"];
  const unknown = reader.keys().find((key) => !known.includes(key));
  if (unknown !== undefined) throw new SlipwayError("invalid", `retention: unknown field '${unknown}'`);
  const keepLast = reader.field("keepLast").optional()?.natural();
  const deleteOlderThan = reader.field("deleteOlderThan").optionalString();
  const untaggedOlderThan = reader.field("untaggedOlderThan").optionalString();
  return {
    repositories: reader.field("repositories").optionalString() ?? "*",
    keep: reader.field("keep").strings(),
    ...(keepLast !== undefined && { keepLast }),
    ...(deleteOlderThan !== undefined && { deleteOlderThan: readAge(deleteOlderThan) }),
    ...(untaggedOlderThan !== undefined && { untaggedOlderThan: readAge(untaggedOlderThan) }),
  };
}

const DAY_MS = 86_400_000;

/** A duration that may be in days: `30d`, `12h`. */
export function readAge(text: string): number {
  const days = /^(\d+)d$/.exec(text);
  return days === null ? milliseconds(text) : Number(days[1]) * DAY_MS;
}

function milliseconds(text: string): number {
  return parseDuration(text) / 1e6;
}
