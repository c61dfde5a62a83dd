import { humanSize } from "@slipway/base";
import type { ImageSummary } from "../client/documents.ts";
import { alignColumns } from "./tab-writer.ts";
import { familiarName, splitReference, truncateId } from "./text.ts";

/** An image as `GET /images/json?manifests=1` tells it: with the manifest of each platform. */
export interface TreeImage extends ImageSummary {
  readonly Manifests?:
    | readonly {
        readonly ID: string;
        readonly Available?: boolean;
        readonly Kind?: string;
        readonly Size?: { readonly Total?: number; readonly Content?: number };
        readonly ImageData?: {
          readonly Platform?: { readonly os?: string; readonly architecture?: string; readonly variant?: string };
          readonly Containers?: readonly string[] | null;
        };
      }[]
    | null;
}

type Manifest = NonNullable<TreeImage["Manifests"]>[number];

/** Images with all of their names, and their platforms below them; `U` marks those that containers use. */
export function imageTree(images: readonly TreeImage[], options: { readonly truncate: boolean }): string {
  const id = (text: string) => (options.truncate ? truncateId(text) : text);
  const rows = images.flatMap((image) => {
    const manifests = (image.Manifests ?? []).filter(({ Kind }) => Kind === undefined || Kind === "image");
    const [first = "<untagged>", ...others] = namesOf(image);
    const sum = (of: (manifest: Manifest) => number | undefined) =>
      manifests.reduce((total, manifest) => total + (of(manifest) ?? 0), 0);
    const usage = sum(({ Size }) => Size?.Total) || image.Size;
    const used = manifests.some(isUsed);
    return [
      [first, id(image.Id), humanSize(usage), humanSize(sum(({ Size }) => Size?.Content)), used ? "U" : ""],
      ...others.map((name) => [name]),
      ...manifests.map((manifest, at) => [
        `${at === manifests.length - 1 ? "└─" : "├─"} ${platformOf(manifest)}`,
        id(manifest.ID),
        humanSize(manifest.Size?.Total ?? 0),
        humanSize(manifest.Size?.Content ?? 0),
        isUsed(manifest) ? "U" : manifest.Available === false ? "not here" : "",
      ]),
    ];
  });
  const table = [["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"], ...rows.map(padded)];
  const text = alignColumns(`${table.map((cells) => cells.join("\t")).join("\n")}\n`);
  return text.replace(/ +$/gm, "");
}

/** A further name has nothing beside it; its cells keep the columns together. */
function padded(cells: readonly string[]): string[] {
  return Array.from({ length: 5 }, (_, at) => cells[at] ?? "");
}

function namesOf({ RepoTags, RepoDigests }: ImageSummary): string[] {
  const tags = (RepoTags ?? []).filter((name) => name !== "<none>:<none>");
  const names = tags.length > 0 ? tags : (RepoDigests ?? []).filter((name) => name !== "<none>@<none>");
  return names.map((name) => {
    const { repository } = splitReference(name);
    return familiarName(repository) + name.slice(repository.length);
  });
}

function isUsed({ ImageData }: Manifest): boolean {
  return (ImageData?.Containers ?? []).length > 0;
}

function platformOf({ ImageData }: Manifest): string {
  const { os = "unknown", architecture = "unknown", variant } = ImageData?.Platform ?? {};
  return `${os}/${architecture}${variant ? `/${variant}` : ""}`;
}
