import { humanSize } from "@slipway/base";
import type { ContainerSummary } from "../client/documents.ts";
import { goTime } from "./go-time.ts";
import type { Listing } from "./listing.ts";
import { portsText } from "./ports.ts";
import { ago, ellipsis, familiarName, goQuote, labelsText, splitReference, truncateId } from "./text.ts";

export interface ContainerRow {
  readonly container: ContainerSummary;
  readonly truncate: boolean;
  /** Milliseconds. */
  readonly now: number;
}

export function containerListing(options: { readonly size: boolean }): Listing<ContainerRow> {
  return {
    type: "*formatter.ContainerContext",
    fields: FIELDS,
    table: ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", ...(options.size ? ["Size"] : [])],
    quiet: "ID",
    rawQuiet: "container_id: {{.ID}}",
    raw: RAW + (options.size ? "size: {{.Size}}\\n" : ""),
  };
}

const FIELDS: Listing<ContainerRow>["fields"] = {
  ID: {
    heading: "CONTAINER ID",
    value: ({ container, truncate }) => (truncate ? truncateId(container.Id) : container.Id),
  },
  Names: { heading: "NAMES", value: ({ container, truncate }) => namesText(container.Names, truncate) },
  Image: { heading: "IMAGE", value: ({ container, truncate }) => imageText(container, truncate) },
  Command: {
    heading: "COMMAND",
    value: ({ container, truncate }) => goQuote(truncate ? ellipsis(container.Command, 20) : container.Command),
  },
  CreatedAt: { heading: "CREATED AT", value: ({ container }) => goTime(container.Created) },
  RunningFor: { heading: "CREATED", value: ({ container, now }) => ago(container.Created, now) },
  Ports: { heading: "PORTS", value: ({ container }) => portsText(container.Ports ?? []) },
  State: { heading: "STATE", value: ({ container }) => container.State },
  Status: { heading: "STATUS", value: ({ container }) => container.Status },
  Size: { heading: "SIZE", value: ({ container }) => sizeText(container) },
  Labels: { heading: "LABELS", value: ({ container }) => labelsText(container.Labels) },
  Label: {
    heading: "LABEL",
    method: true,
    value:
      ({ container }) =>
      (name: unknown) =>
        container.Labels?.[String(name)] ?? "",
  },
  Mounts: {
    heading: "MOUNTS",
    value: ({ container, truncate }) =>
      (container.Mounts ?? [])
        .map((mount) => mount.Name || mount.Source || "")
        .map((name) => (truncate ? ellipsis(name, 15) : name))
        .join(","),
  },
  LocalVolumes: {
    heading: "LOCAL VOLUMES",
    value: ({ container }) => String((container.Mounts ?? []).filter((mount) => mount.Driver === "local").length),
  },
  Networks: {
    heading: "NETWORKS",
    value: ({ container }) => Object.keys(container.NetworkSettings?.Networks ?? {}).join(","),
  },
  Platform: { heading: "PLATFORM", value: () => null },
};

const RAW = `container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
`;

/** A name with a slash inside is a link's, made by another container; the short form leaves those out. */
function namesText(names: readonly string[], truncate: boolean): string {
  const plain = names.map((name) => name.replace(/^\//, ""));
  if (!truncate) return plain.join(",");
  return plain.find((name) => !name.includes("/")) ?? "";
}

function imageText({ Image, ImageID }: ContainerSummary, truncate: boolean): string {
  if (Image === "") return "<no image>";
  if (!truncate) return Image;
  if (truncateId(ImageID) === truncateId(Image)) return truncateId(ImageID);
  const { repository, tag } = splitReference(Image);
  return familiarName(repository) + (tag === undefined ? "" : `:${tag}`);
}

function sizeText({ SizeRw = 0, SizeRootFs = 0 }: ContainerSummary): string {
  return SizeRootFs > 0 ? `${humanSize(SizeRw)} (virtual ${humanSize(SizeRootFs)})` : humanSize(SizeRw);
}
