import { parseDuration, SlipwayError } from "@slipway/base";
import type { CacheRecord } from "./faces.ts";
import type { BuildServices } from "./session.ts";
import { cacheUsage } from "./usage.ts";

export interface PruneOptions {
  /** Also what images still use: the records go, the layers stay with the images. */
  readonly all: boolean;
  readonly filters: Readonly<Record<string, readonly string[]>>;
}

export interface PruneReport {
  readonly removed: readonly string[];
  /** Bytes. */
  readonly freedBytes: number;
}

const FILTERS: Readonly<Record<string, (record: CacheRecord, value: string) => boolean>> = {
  until: (record, value) => (record.lastUsedAt ?? record.createdAt) < cutOff(value),
  "unused-for": (record, value) => (record.lastUsedAt ?? record.createdAt) < cutOff(value),
  id: (record, value) => record.id.startsWith(value),
  type: (record, value) => record.type === value,
  description: (record, value) => record.description.includes(value),
  shared: (record, value) => record.shared === (value === "true"),
  inuse: (record, value) => record.inUse === (value === "true"),
  private: (record, value) => record.shared !== (value === "true"),
};

/** Removes records that no running build relies on, and what only they kept. */
export async function pruneCache(services: BuildServices, { all, filters }: PruneOptions): Promise<PruneReport> {
  const checks = Object.entries(filters).map(([name, values]) => {
    const check = FILTERS[name];
    if (check === undefined) {
      throw new SlipwayError("invalid", `invalid filter '${name}'`, {
        hint: `Known: ${Object.keys(FILTERS).join(", ")}.`,
      });
    }
    return (record: CacheRecord) => values.some((value) => check(record, value));
  });
  const chosen = cacheUsage(services).filter(
    (record) => !record.inUse && (all || !record.shared) && checks.every((check) => check(record)),
  );
  const ids = new Set(chosen.map(({ id }) => id));
  const keys = services.cache.all().filter(({ key }) => ids.has(key.slice("sha256:".length, "sha256:".length + 25)));
  services.cache.remove(keys.map(({ key }) => key));
  let freedBytes = 0;
  for (const record of chosen) {
    if (record.type !== "exec.cachemount") continue;
    services.cacheMounts.remove(record.id);
    freedBytes += record.size;
  }
  const report = await services.store.collect();
  return { removed: [...ids], freedBytes: freedBytes + report.freedBytes };
}

function cutOff(value: string): number {
  return Date.now() - parseDuration(value) / 1e6;
}
