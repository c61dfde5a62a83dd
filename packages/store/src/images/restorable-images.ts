import type { Database } from "bun:sqlite";
import { JsonReader, SlipwayError } from "@slipway/base";
import {
  type ChainId,
  type Descriptor,
  type Digest,
  formatReference,
  type ImageId,
  parseReference,
  type Reference,
} from "@slipway/oci";
import type { Image } from "../faces.ts";
import type { ImageRow, ImageTable } from "./image-table.ts";

/** What an image holds on the disk. */
export interface Holding {
  readonly blobs: readonly Digest[];
  readonly top: ChainId | null;
}

/** All that brings an image back: its row, its names, and what it held meanwhile. */
export interface ImageRecord extends Holding {
  readonly row: ImageRow;
  readonly names: readonly string[];
  readonly repoDigests: readonly string[];
}

export function holdingOf(image: Image): Holding {
  const layers = image.manifest.layers.map(({ digest }) => digest);
  return {
    blobs: [...new Set([image.id, image.manifestDigest, image.target.digest, ...layers])],
    top: image.layers.at(-1) ?? null,
  };
}

export function imageRecord(image: Image, row: ImageRow): ImageRecord {
  return {
    ...holdingOf(image),
    row,
    names: image.names.map(formatReference),
    repoDigests: image.repoDigests.map(formatReference),
  };
}

/** The record as `imageRecord` made it. */
export function readImageRecord(text: string): ImageRecord {
  const reader = JsonReader.parse(Buffer.from(text), "the record of a pruned image");
  const row = reader.field("row");
  const top = (at: JsonReader) => (at.optional()?.string() ?? null) as ChainId | null;
  return {
    row: {
      id: row.field("id").string() as ImageId,
      target: row.field("target").value as Descriptor,
      manifest: row.field("manifest").string() as Digest,
      top: top(row.field("top")),
      size: row.field("size").number(),
      storedAt: row.field("storedAt").number(),
    },
    names: reader.field("names").strings(),
    repoDigests: reader.field("repoDigests").strings(),
    blobs: reader.field("blobs").strings() as Digest[],
    top: top(reader.field("top")),
  };
}

/**
 * Puts the row back, with the names that nobody else has by now. An image that is there again only gets its names. Runs in
 * the caller's transaction. Throws `corrupt` when something of it was lost.
 */
export function putBack(
  database: Database,
  images: ImageTable,
  record: ImageRecord,
): { readonly names: readonly Reference[]; readonly taken: readonly Reference[] } {
  if (!isWhole(database, record)) {
    throw new SlipwayError("corrupt", `content of the image ${record.row.id} was lost`, {
      hint: "Pull or build it again.",
    });
  }
  const names = record.names.map(parseReference);
  const isFree = (name: Reference) => [undefined, record.row.id].includes(images.byName(name));
  const free = names.filter(isFree);
  const given = [...free, ...record.repoDigests.map(parseReference)];
  if (images.get(record.row.id) === undefined) images.put(record.row, given);
  else for (const name of given) images.addName(record.row.id, name);
  return { names: free, taken: names.filter((name) => !isFree(name)) };
}

/** Whether all that the row refers to is there. */
export function isWhole(database: Database, { row }: ImageRecord): boolean {
  const blob = database.query<{ digest: string }, [string]>("SELECT digest FROM blobs WHERE digest = ?");
  const layer = database.query<{ chain_id: string }, [string]>("SELECT chain_id FROM layers WHERE chain_id = ?");
  return (
    [row.id, row.manifest].every((digest) => blob.get(digest) !== null) &&
    (row.top === null || layer.get(row.top) !== null)
  );
}
