import type { HealthcheckInstruction } from "@slipway/dockerfile";
import type { CopyAction } from "../ops/copy-action.ts";

/** The texts of `created_by`, as BuildKit writes them. */

export const HISTORY_COMMENT = "buildkit.dockerfile.v0";

export function runHistory(args: readonly string[], buildArgs: readonly string[]): string {
  const shown = buildArgs.length === 0 ? [] : [`|${buildArgs.length}`, ...buildArgs];
  return `RUN ${[...shown, ...args].join(" ")} # buildkit`;
}

export function copyHistory(
  name: "COPY" | "ADD",
  action: CopyAction,
  words: { readonly sources: readonly string[]; readonly checksum?: string; readonly link: boolean },
): string {
  const parts: string[] = [name];
  if (words.checksum !== undefined) parts.push(`--checksum=${words.checksum}`);
  if (action.parents) parts.push("--parents");
  if (action.chown !== undefined) parts.push(`--chown=${action.chown}`);
  if (action.chmod !== undefined) parts.push(`--chmod=${action.chmod}`);
  if (words.link) parts.push("--link");
  for (const pattern of action.exclude) parts.push(`--exclude=${pattern}`);
  parts.push(...words.sources, action.destination, "# buildkit");
  return parts.join(" ");
}

/** Go's `%q` of a list of strings: `["a" "b"]`. */
export function quotedList(words: readonly string[]): string {
  return `[${words.map(quoted).join(" ")}]`;
}

/** Go's `%q` of a string. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(/\\u([0-9a-f]{4})/g, (all, hex: string) =>
    Number.parseInt(hex, 16) < 0x80 ? `\\x${hex.slice(2)}` : all,
  );
}

export function healthcheckHistory(check: HealthcheckInstruction["check"]): string {
  const durations = [check.Interval, check.Timeout, check.StartPeriod, check.StartInterval].map((nanoseconds) =>
    quoted(goDuration(nanoseconds ?? 0)),
  );
  const retries = check.Retries ?? 0;
  const rune =
    retries >= 32 && retries < 127 ? String.fromCharCode(retries) : `\\x${retries.toString(16).padStart(2, "0")}`;
  return `HEALTHCHECK &{${[quotedList(check.Test ?? []), ...durations, `'${rune}'`].join(" ")}}`;
}

/** Go's `time.Duration.String()`. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${nanoseconds / 1e6}ms`;
  const seconds = nanoseconds / 1e9;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = Math.round((seconds % 60) * 1e9) / 1e9;
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${rest}s`;
}
