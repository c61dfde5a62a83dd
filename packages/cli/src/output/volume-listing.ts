import { humanSize } from "@slipway/base";
import type { VolumeDocument } from "../client/documents.ts";
import type { Listing } from "./listing.ts";
import { labelsText } from "./text.ts";

const FIELDS: Listing<VolumeDocument>["fields"] = {
  Name: { heading: "VOLUME NAME", value: (volume) => volume.Name },
  Driver: { heading: "DRIVER", value: (volume) => volume.Driver },
  Scope: { heading: "SCOPE", value: (volume) => volume.Scope ?? "" },
  Mountpoint: { heading: "MOUNTPOINT", value: (volume) => volume.Mountpoint },
  Labels: { heading: "LABELS", value: (volume) => labelsText(volume.Labels) },
  Label: { heading: "LABEL", method: true, value: (volume) => (name: unknown) => volume.Labels?.[String(name)] ?? "" },
  Links: { heading: "LINKS", value: ({ UsageData }) => (UsageData ? String(UsageData.RefCount) : "N/A") },
  Size: { heading: "SIZE", value: ({ UsageData }) => (UsageData ? humanSize(UsageData.Size, 4) : "N/A") },
  Group: { heading: "GROUP", value: () => "N/A" },
  Availability: { heading: "AVAILABILITY", value: () => "N/A" },
  Status: { heading: "STATUS", value: () => "N/A" },
};

export function volumeListing(table: readonly string[]): Listing<VolumeDocument> {
  return {
    type: "*formatter.volumeContext",
    fields: FIELDS,
    table,
    quiet: "Name",
    raw: "name: {{.Name}}\\ndriver: {{.Driver}}\\n",
  };
}
