import { humanSize } from "@slipway/base";
import type { CacheRecord } from "../client/documents.ts";
import { goTimeOf } from "./go-time.ts";
import type { Listing } from "./listing.ts";
import { ago, truncateId } from "./text.ts";

export interface CacheRow {
  readonly record: CacheRecord;
  readonly truncate: boolean;
  readonly now: number;
}

const seconds = (text: string | null | undefined) => (text ? Date.parse(text) / 1000 : undefined);

export const CACHE_FIELDS: Listing<CacheRow>["fields"] = {
  ID: {
    heading: "CACHE ID",
    value: ({ record, truncate }) => (truncate ? truncateId(record.ID) : record.ID) + (record.InUse ? "*" : ""),
  },
  Parent: {
    heading: "PARENT",
    value: ({ record, truncate }) => {
      const parents = (record.Parents ?? []).join(", ");
      return truncate ? truncateId(parents) : parents;
    },
  },
  CacheType: { heading: "CACHE TYPE", value: ({ record }) => record.Type },
  Size: { heading: "SIZE", value: ({ record }) => humanSize(record.Size) },
  CreatedAt: { heading: "CREATED AT", value: ({ record }) => goTimeOf(record.CreatedAt) },
  CreatedSince: { heading: "CREATED", value: ({ record, now }) => ago(seconds(record.CreatedAt) ?? 0, now) },
  LastUsedAt: {
    heading: "LAST USED AT",
    value: ({ record }) => (record.LastUsedAt ? goTimeOf(record.LastUsedAt) : ""),
  },
  LastUsedSince: {
    heading: "LAST USED",
    value: ({ record, now }) => (record.LastUsedAt ? ago(seconds(record.LastUsedAt) ?? 0, now) : ""),
  },
  UsageCount: { heading: "USAGE", value: ({ record }) => String(record.UsageCount) },
  InUse: { heading: "IN USE", value: ({ record }) => String(record.InUse) },
  Shared: { heading: "SHARED", value: ({ record }) => String(record.Shared) },
  Description: { heading: "DESCRIPTION", value: ({ record }) => record.Description },
};

/** Longest unused first; records of the same moment by ID. */
export function sortCache(records: readonly CacheRecord[]): CacheRecord[] {
  const used = (record: CacheRecord) => seconds(record.LastUsedAt) ?? Number.NEGATIVE_INFINITY;
  return records.toSorted((a, b) => (used(a) === used(b) ? (a.ID < b.ID ? -1 : 1) : used(a) - used(b)));
}
