import { humanSize } from "@slipway/base";
import type { ImageSummary } from "../client/documents.ts";
import { goTime } from "./go-time.ts";
import type { Listing } from "./listing.ts";
import { ago, familiarName, splitReference, truncateId } from "./text.ts";

export interface ImageRow {
  readonly image: ImageSummary;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly truncate: boolean;
  readonly now: number;
}

export function imageListing(options: { readonly digests: boolean }): Listing<ImageRow> {
  return {
    type: "*formatter.imageContext",
    fields: FIELDS,
    table: ["Repository", "Tag", ...(options.digests ? ["Digest"] : []), "ID", "CreatedSince", "Size"],
    quiet: "ID",
    rawQuiet: "image_id: {{.ID}}",
    raw: `repository: {{ .Repository }}\ntag: {{.Tag}}\n${options.digests ? "digest: {{.Digest}}\n" : ""}image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n`,
  };
}

const FIELDS: Listing<ImageRow>["fields"] = {
  ID: { heading: "IMAGE ID", value: ({ image, truncate }) => (truncate ? truncateId(image.Id) : image.Id) },
  Repository: { heading: "REPOSITORY", value: (row) => row.repository },
  Tag: { heading: "TAG", value: (row) => row.tag },
  Digest: { heading: "DIGEST", value: (row) => row.digest },
  CreatedSince: { heading: "CREATED", value: ({ image, now }) => ago(image.Created, now) },
  CreatedAt: { heading: "CREATED AT", value: ({ image }) => goTime(image.Created) },
  Size: { heading: "SIZE", value: ({ image }) => humanSize(image.Size) },
  Containers: { heading: "CONTAINERS", value: ({ image }) => countText(image.Containers) },
  VirtualSize: { heading: "SIZE", value: ({ image }) => humanSize(image.Size, 4) },
  SharedSize: { heading: "SHARED SIZE", value: ({ image }) => sizeText(image.SharedSize) },
  UniqueSize: {
    heading: "UNIQUE SIZE",
    value: ({ image }) => ((image.SharedSize ?? -1) < 0 ? "N/A" : humanSize(image.Size - (image.SharedSize ?? 0), 4)),
  },
};

export interface ImageRowOptions {
  /** Whether names show their digests. */
  readonly digests: boolean;
  /** Whether digests without a tag have rows of their own, one each; as `digests` unless given. */
  readonly untagged?: boolean;
  readonly truncate: boolean;
  readonly now: number;
}

/** A row for each name of each image; an image without names has one of `<none>`. */
export function imageRows(images: readonly ImageSummary[], options: ImageRowOptions): ImageRow[] {
  return images.flatMap((image) =>
    namesOf(image, options.digests, options.untagged ?? options.digests).map((name) => ({
      image,
      ...name,
      truncate: options.truncate,
      now: options.now,
    })),
  );
}

interface Name {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const NONE = "<none>";

function namesOf(image: ImageSummary, digests: boolean, untaggedDigests: boolean): Name[] {
  const tags = (image.RepoTags ?? []).filter((name) => name !== "<none>:<none>").map(parse);
  const pinned = (image.RepoDigests ?? []).filter((name) => name !== "<none>@<none>").map(parse);
  if (tags.length === 0 && pinned.length === 0) return [{ repository: NONE, tag: NONE, digest: NONE }];
  const rows = tags.flatMap(({ repository, tag = NONE }): Name[] => {
    const own = digests ? pinned.filter((name) => name.repository === repository) : [];
    if (own.length === 0) return [{ repository, tag, digest: NONE }];
    return own.map(({ digest = NONE }) => ({ repository, tag, digest }));
  });
  const untagged = pinned.filter(({ repository }) => !tags.some((tag) => tag.repository === repository));
  const shown = untaggedDigests
    ? untagged
    : untagged.filter(({ repository }, at) => untagged.findIndex((name) => name.repository === repository) === at);
  const digestOnly = shown.map(({ repository, digest = NONE }) => ({
    repository,
    tag: NONE,
    digest: untaggedDigests ? digest : "",
  }));
  return [...rows, ...digestOnly];
}

function parse(name: string): { repository: string; tag?: string; digest?: string } {
  const parts = splitReference(name);
  return { ...parts, repository: familiarName(parts.repository) };
}

function countText(count: number | undefined): string {
  return count === undefined || count < 0 ? "N/A" : String(count);
}

function sizeText(size: number | undefined): string {
  return size === undefined || size < 0 ? "N/A" : humanSize(size, 4);
}
