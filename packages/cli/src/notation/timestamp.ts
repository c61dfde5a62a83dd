import { parseDuration } from "@slipway/base";
import { ExitError } from "../errors.ts";

/**
 * A moment as the API takes it: seconds, with a fraction. Accepts seconds as they are, a duration (that long ago), and
 * dates of RFC 3339 with parts left out. Empty stays empty. Throws `ExitError`.
 */
export function timestamp(text: string, now: number = Date.now()): string | undefined {
  if (text === "") return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  const date = dateOf(text);
  if (date !== undefined) return date;
  try {
    return (now / 1000 - parseDuration(text) / 1e9).toFixed(9);
  } catch {
    throw new ExitError(
      1,
      `invalid value for "since" or "until": failed to parse value as time or duration: "${text}"`,
      "Write 2026-01-02T13:23:37, or 42m for as long ago.",
    );
  }
}

function dateOf(text: string): string | undefined {
  const match = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(\.\d{1,9})?)?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [, day, hour = "00", minute = "00", second = "00", fraction = "", zone = ""] = match;
  const milliseconds = Date.parse(`${day}T${hour}:${minute}:${second}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return `${milliseconds / 1000}${fraction === "" ? "" : `.${fraction.slice(1).padEnd(9, "0")}`}`;
}
