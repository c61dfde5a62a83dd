import type { Filters } from "./prune-steps.ts";

/** What of a label's two filters contradicts the other. */
const OPPOSITE: Readonly<Record<string, string>> = { label: "label!", "label!": "label" };

/** The filters of the command line and the user's own for every prune; one that the command line contradicts is left out. */
export function withConfigured(given: Filters, configured: readonly string[] = []): Filters {
  const all: Record<string, readonly string[]> = { ...given };
  for (const filter of configured) {
    const at = filter.indexOf("=");
    if (at < 0) continue;
    const [name, value] = [filter.slice(0, at), filter.slice(at + 1)];
    if (given[OPPOSITE[name] ?? ""]?.includes(value)) continue;
    all[name] = [...new Set([...(all[name] ?? []), value])];
  }
  return all;
}
