import type { MissReason } from "./wire.ts";

/** Causes named one by one; the rest is counted. */
const MOST_NAMED = 3;

/** Why a step ran again, for people: `src/app.ts changed`. Empty when there is nothing to explain. */
export function reasonText(reasons: readonly MissReason[] | undefined): string {
  const told = (reasons ?? []).filter(({ kind }) => kind !== "first-time");
  if (told.length === 0) return "";
  const named = told.slice(0, MOST_NAMED).map(oneReason);
  const more = told.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** One cause in words. */
export function oneReason({ kind, subject, before, after }: MissReason): string {
  switch (kind) {
    case "no-cache":
      return "the cache is turned off";
    case "instruction":
      return "the instruction changed";
    case "argument":
      return `argument ${subject} ${change(before, after)}`;
    case "environment":
      return `variable ${subject} ${change(before, after)}`;
    case "parent":
      return `an earlier step changed: ${subject}`;
    case "base-image":
      return `base image ${subject} changed`;
    case "file-added":
      return `${subject} was added`;
    case "file-removed":
      return `${subject} was removed`;
    case "file-changed":
      return `${subject} changed`;
    case "metadata-changed":
      return `mode or owner of ${subject} changed`;
    case "evicted":
      return "its result was removed from the cache";
    default:
      return `${kind} ${subject}`;
  }
}

function change(before: string | undefined, after: string | undefined): string {
  if (before === undefined) return `was set to ${short(after)}`;
  if (after === undefined) return "was unset";
  return `changed from ${short(before)} to ${short(after)}`;
}

function short(value = ""): string {
  const text = value.length > 40 ? `${value.slice(0, 39)}…` : value;
  return JSON.stringify(text);
}
