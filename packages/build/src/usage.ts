import type { ImageId } from "@slipway/oci";
import type { CacheRecord } from "./faces.ts";
import type { BuildServices } from "./session.ts";

/** What the build cache holds, least recently used first; what only images in `gone` have too is not shared. */
export function cacheUsage(
  { cache, cacheMounts, store }: BuildServices,
  gone: ReadonlySet<ImageId> = new Set(),
): CacheRecord[] {
  const staying = store.images.list().filter(({ id }) => !gone.has(id));
  const inImages = new Set(staying.flatMap((image) => image.layers));
  const records = cache.all().map(
    (record): CacheRecord => ({
      id: record.key.slice("sha256:".length, "sha256:".length + 25),
      type: "regular",
      description: record.description,
      size: record.size,
      inUse: cache.isPinned(record.key),
      shared: record.chainId !== undefined && inImages.has(record.chainId),
      createdAt: record.createdAt,
      lastUsedAt: record.lastUsedAt,
      usageCount: record.usageCount,
    }),
  );
  const mounts = cacheMounts.list().map(
    (mount): CacheRecord => ({
      id: mount.directory,
      type: "exec.cachemount",
      description: `cached mount ${mount.id}`,
      size: mount.size,
      inUse: mount.inUse,
      shared: false,
      createdAt: mount.createdAt,
      lastUsedAt: mount.lastUsedAt,
      usageCount: mount.usageCount,
    }),
  );
  return [...records, ...mounts];
}
