import { statfsSync } from "node:fs";
import { parseDuration, SlipwayError } from "@slipway/base";
import type { Digest, ImageId } from "@slipway/oci";
import type { Root } from "@slipway/store";
import type { CacheRecord } from "./faces.ts";
import type { BuildServices } from "./session.ts";
import { cacheUsage } from "./usage.ts";

export interface PruneOptions {
  /** Also what images still use: the records go, the layers stay with the images. */
  readonly all: boolean;
  readonly filters: Readonly<Record<string, readonly string[]>>;
  /** Without them everything that may go goes. */
  readonly space?: PruneSpace;
}

/** How much of the cache stays, in bytes: the most recently used. As BuildKit reckons; 0 is "not given". */
export interface PruneSpace {
  /** As much as this stays in any case. */
  readonly reserved: number;
  /** No more than this stays. */
  readonly maxUsed: number;
  /** So much of the disk shall be free. */
  readonly minFree: number;
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

export interface CachePrunePlan {
  readonly items: readonly {
    readonly id: string;
    readonly description: string;
    readonly bytes: number;
    readonly lastUsed: number;
  }[];
  /** Bytes beside the layers: cache mounts. */
  readonly ownBytes: number;
  /** Whose roots these are, and what the records that stay hold. */
  readonly owner: string;
  readonly roots: readonly Root[];
}

/** The owner of the cache's roots, as the store's collector knows it. */
export const CACHE_OWNER = "build cache";

/** What `pruneCache` would remove if the images in `gone` were gone already. */
export function planCachePrune(
  services: BuildServices,
  options: PruneOptions & { readonly gone: ReadonlySet<ImageId> },
): CachePrunePlan {
  const { chosen, keys } = choose(services, options, cacheUsage(services, options.gone));
  const mounts = chosen.filter(({ type }) => type === "exec.cachemount");
  return {
    items: chosen.map((record) => ({
      ...{ id: record.id, description: record.description },
      bytes: record.shared ? 0 : record.size,
      lastUsed: record.lastUsedAt ?? record.createdAt,
    })),
    ownBytes: mounts.reduce((sum, { size }) => sum + size, 0),
    owner: CACHE_OWNER,
    roots: [...services.cache.roots(new Set(keys))],
  };
}

/** Removes records that no running build relies on, and what only they kept. */
export async function pruneCache(services: BuildServices, options: PruneOptions): Promise<PruneReport> {
  const { chosen, keys } = choose(services, options, cacheUsage(services));
  services.cache.remove(keys);
  let freedBytes = 0;
  for (const record of chosen) {
    if (record.type !== "exec.cachemount") continue;
    services.cacheMounts.remove(record.id);
    freedBytes += record.size;
  }
  const report = await services.store.collect({ unfinished: true });
  return { removed: chosen.map(({ id }) => id), freedBytes: freedBytes + report.freedBytes };
}

/** The records that go, least recently used first, and the keys of those that are records of steps. */
function choose(
  services: BuildServices,
  options: PruneOptions,
  usage: readonly CacheRecord[],
): { chosen: CacheRecord[]; keys: Digest[] } {
  const { all, filters } = options;
  const checks = Object.entries(filters).map(([name, values]) => {
    const check = FILTERS[name];
    if (check === undefined) {
      throw new SlipwayError("invalid", `invalid filter '${name}'`, {
        hint: `Known: ${Object.keys(FILTERS).join(", ")}.`,
      });
    }
    return (record: CacheRecord) => values.some((value) => check(record, value));
  });
  const allowed = usage.filter(
    (record) => !record.inUse && (all || !record.shared) && checks.every((check) => check(record)),
  );
  const chosen = leastUsed(allowed, excess(services, usage, options.space));
  const ids = new Set(chosen.map(({ id }) => id));
  const keys = services.cache.all().filter(({ key }) => ids.has(key.slice("sha256:".length, "sha256:".length + 25)));
  return { chosen, keys: keys.map(({ key }) => key) };
}

/** Bytes that have to go; without limits all of them. */
function excess(services: BuildServices, usage: readonly CacheRecord[], space: PruneSpace | undefined): number {
  if (space === undefined || (space.reserved === 0 && space.maxUsed === 0 && space.minFree === 0)) return Infinity;
  const total = ownBytes(usage);
  const { bavail, bsize } = statfsSync(services.store.root);
  const missing = space.minFree - bavail * bsize;
  const limits = [...(space.maxUsed > 0 ? [space.maxUsed] : []), ...(missing > 0 ? [total - missing] : [])];
  // Without an upper limit that matters, nothing needs to go below what is reserved.
  const kept = Math.max(limits.length === 0 ? 0 : Math.min(...limits), space.reserved);
  const isBounded = space.maxUsed > 0 || missing > 0 || space.reserved > 0;
  return isBounded ? total - kept : 0;
}

/** The least recently used first, until so many bytes are reached. */
function leastUsed(allowed: readonly CacheRecord[], bytes: number): CacheRecord[] {
  const lastUse = (record: CacheRecord) => record.lastUsedAt ?? record.createdAt;
  const chosen: CacheRecord[] = [];
  let freed = 0;
  for (const record of [...allowed].sort((a, b) => lastUse(a) - lastUse(b))) {
    if (freed >= bytes) break;
    chosen.push(record);
    freed += record.shared ? 0 : record.size;
  }
  return chosen;
}

/** What images have too is not the cache's. */
function ownBytes(records: readonly CacheRecord[]): number {
  return records.reduce((sum, { shared, size }) => sum + (shared ? 0 : size), 0);
}

function cutOff(value: string): number {
  return Date.now() - parseDuration(value) / 1e6;
}
