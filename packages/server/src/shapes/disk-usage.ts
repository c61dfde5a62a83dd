import type { ApiVersion } from "../api-version.ts";
import type { Backends } from "../backend.ts";
import { containerSummary } from "./container.ts";
import { imageSummary } from "./image.ts";
import { volumeDocument } from "./resources.ts";
import { cacheDocument } from "./system.ts";

type Document = Record<string, unknown>;
type Usage = Awaited<ReturnType<Backends["system"]["diskUsage"]>>;
export type UsageKind = "container" | "image" | "volume" | "build-cache";

export interface UsageOptions {
  readonly version: ApiVersion;
  readonly wants: (kind: UsageKind) => boolean;
  /** Whether the things themselves are asked for too; since 1.52. */
  readonly verbose: boolean;
}

/** `GET /system/df`. Version 1.52 has the old form beside the new one, for clients under way. */
export function usageDocument(usage: Usage, options: UsageOptions): Document {
  const { version, verbose } = options;
  const old = version < 52 || (version === 52 && !verbose) ? listDocument(usage, options) : {};
  return version < 52 ? old : { ...old, ...summaryDocument(usage, options) };
}

function listDocument(usage: Usage, { version, wants }: UsageOptions): Document {
  const items = itemsOf(usage, version);
  return {
    LayersSize: wants("image") ? usage.layersBytes : 0,
    Images: wants("image") ? items.images() : null,
    Containers: wants("container") ? items.containers() : null,
    Volumes: wants("volume") ? items.volumes() : null,
    BuildCache: wants("build-cache") ? items.cache() : null,
    // Of a builder that was an experiment once.
    ...(version < 42 && { BuilderSize: 0 }),
  };
}

function summaryDocument(usage: Usage, { version, wants, verbose }: UsageOptions): Document {
  const items = itemsOf(usage, version);
  const entry = (totals: Document, list: () => Document[]) => (verbose ? { ...totals, Items: list() } : totals);
  return {
    ...(wants("image") && { ImageUsage: entry(imageTotals(usage), items.images) }),
    ...(wants("container") && { ContainerUsage: entry(containerTotals(usage), items.containers) }),
    ...(wants("volume") && { VolumeUsage: entry(volumeTotals(usage), items.volumes) }),
    ...(wants("build-cache") && { BuildCacheUsage: entry(cacheTotals(usage), items.cache) }),
  };
}

function itemsOf(usage: Usage, version: ApiVersion) {
  return {
    images: () => usage.images.map((image) => imageSummary(image, version, { counted: true })),
    containers: () => usage.containers.map((item) => containerSummary(item, version)),
    volumes: () =>
      usage.volumes.map(({ volume, bytes, references }) => ({
        ...volumeDocument(volume),
        UsageData: { RefCount: references, Size: bytes },
      })),
    cache: () => usage.cache.map((record) => cacheDocument(record, version)),
  };
}

/** What would be free if everything that nothing needs were removed is `Reclaimable`. */
function imageTotals({ images, layersBytes }: Usage): Document {
  const used = images.filter(({ containers }) => containers > 0);
  const usedBytes = sum(used.map(({ image, sharedBytes }) => image.size - sharedBytes));
  return totals(images.length, used.length, layersBytes, Math.max(0, layersBytes - usedBytes));
}

function containerTotals({ containers }: Usage): Document {
  const bytes = (list: Usage["containers"]) => sum(list.map(({ sizes }) => sizes?.rw ?? 0));
  const active = containers.filter(({ container }) =>
    ["running", "paused", "restarting"].includes(container.state.status),
  );
  return totals(containers.length, active.length, bytes(containers), bytes(containers) - bytes(active));
}

function volumeTotals({ volumes }: Usage): Document {
  const used = volumes.filter(({ references }) => references > 0);
  const bytes = (list: Usage["volumes"]) => sum(list.map((each) => Math.max(0, each.bytes)));
  return totals(volumes.length, used.length, bytes(volumes), bytes(volumes) - bytes(used));
}

function cacheTotals({ cache }: Usage): Document {
  const own = cache.filter(({ shared }) => !shared);
  const active = cache.filter(({ inUse }) => inUse);
  const total = sum(own.map(({ size }) => size));
  const held = sum(own.filter(({ inUse }) => inUse).map(({ size }) => size));
  return totals(cache.length, active.length, total, total - held);
}

function totals(count: number, active: number, bytes: number, reclaimable: number): Document {
  return { TotalCount: count, ActiveCount: active, TotalSize: bytes, Reclaimable: reclaimable };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
