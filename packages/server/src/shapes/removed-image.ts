import { present } from "../routes/present.ts";

/** A line of what the removal of images took away. */
export function removedDocument(item: {
  readonly untagged?: string;
  readonly deleted?: string;
}): Record<string, unknown> {
  return present({ Untagged: item.untagged, Deleted: item.deleted });
}
