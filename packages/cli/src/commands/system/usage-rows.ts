import { humanSize } from "@slipway/base";
import type { DiskUsage } from "../../client/documents.ts";

export interface UsageRow {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  /** Bytes. */
  readonly size: number;
  readonly reclaimable: string;
}

const ACTIVE_STATES = new Set(["running", "paused", "restarting"]);

/** The four lines of `system df`, computed as Docker's client computes them. */
export function usageRows(usage: DiskUsage): UsageRow[] {
  return [imageRow(usage), containerRow(usage), volumeRow(usage), cacheRow(usage)];
}

function imageRow({ Images, LayersSize }: DiskUsage): UsageRow {
  const images = Images ?? [];
  const used = images.filter((image) => (image.Containers ?? 0) > 0);
  const usedBytes = sum(
    used
      .filter((image) => image.Size !== -1 && (image.SharedSize ?? -1) !== -1)
      .map((image) => image.Size - (image.SharedSize ?? 0)),
  );
  return row({
    type: "Images",
    total: images.length,
    active: used.length,
    size: LayersSize,
    free: LayersSize - usedBytes,
  });
}

function containerRow({ Containers }: DiskUsage): UsageRow {
  const containers = Containers ?? [];
  const active = containers.filter(({ State }) => ACTIVE_STATES.has(State));
  const idle = containers.filter(({ State }) => !ACTIVE_STATES.has(State));
  const size = sum(containers.map(({ SizeRw = 0 }) => SizeRw));
  const free = sum(idle.map(({ SizeRw = 0 }) => SizeRw));
  return row({ type: "Containers", total: containers.length, active: active.length, size, free });
}

function volumeRow({ Volumes }: DiskUsage): UsageRow {
  const volumes = (Volumes ?? []).map(({ UsageData }) => UsageData ?? { Size: -1, RefCount: 0 });
  const known = volumes.filter(({ Size }) => Size !== -1);
  const free = sum(known.filter(({ RefCount }) => RefCount === 0).map(({ Size }) => Size));
  return row({
    type: "Local Volumes",
    total: volumes.length,
    active: volumes.filter(({ RefCount }) => RefCount > 0).length,
    size: sum(known.map(({ Size }) => Size)),
    free,
  });
}

function cacheRow({ BuildCache }: DiskUsage): UsageRow {
  const records = BuildCache ?? [];
  const own = records.filter(({ Shared }) => !Shared);
  const size = sum(own.map(({ Size }) => Size));
  const used = sum(own.filter(({ InUse }) => InUse).map(({ Size }) => Size));
  const active = records.filter(({ InUse }) => InUse).length;
  return { type: "Build Cache", total: records.length, active, size, reclaimable: humanSize(size - used, 4) };
}

function row({ free, ...rest }: Omit<UsageRow, "reclaimable"> & { readonly free: number }): UsageRow {
  const share = rest.size > 0 ? ` (${Math.trunc((free * 100) / rest.size)}%)` : "";
  return { ...rest, reclaimable: humanSize(free, 4) + share };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
