import { SlipwayError } from "./errors.ts";

/** Nanoseconds of each unit that Go's `time.ParseDuration` knows. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of a duration as Go writes it: `1h30m`, `1.5s`, `-250ms`, `0`. Throws `invalid`. */
export function parseDuration(text: string): number {
  const sign = text.startsWith("-") ? -1 : 1;
  const body = text.replace(/^[+-]/, "");
  if (body === "0") return 0;
  const parts = body.match(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g);
  if (parts === null || parts.join("") !== body) {
    throw new SlipwayError("invalid", `invalid duration: '${text}'`, {
      hint: "Write a number and a unit, such as 30s or 1m30s.",
    });
  }
  const total = parts.reduce((sum, part) => {
    const unit = part.replace(/^[\d.]+/, "");
    return sum + Number.parseFloat(part) * (UNITS[unit] ?? 0);
  }, 0);
  return sign * Math.round(total);
}

/** The age of something for people, as Docker's lists print it: `About an hour`, `3 days`. Takes milliseconds. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}
