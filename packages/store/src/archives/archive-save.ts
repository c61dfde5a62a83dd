import { SlipwayError } from "@slipway/base";
import {
  type Digest,
  digestAlgorithm,
  digestHex,
  digestOf,
  encodeIndex,
  familiarReference,
  MEDIA_TYPES,
} from "@slipway/oci";
import { END_OF_ARCHIVE, encodeTarHeader, padding } from "@slipway/tar";
import type { Blobs } from "../blobs.ts";
import type { Image, SaveOptions } from "../faces.ts";
import { manifestFor, type SavedImage } from "../images/images.ts";
import type { LayerRow, LayerTable } from "../layers/layer-table.ts";
import { openLayerTar, streamBlob, type TarSources } from "../layers/layer-tar.ts";
import { type HeldLease, heldLease, type Leases } from "../leases.ts";
import { nameDescriptor, OCI_LAYOUT } from "../oci-layout.ts";

export interface SaverOptions extends TarSources {
  readonly blobs: Blobs;
  readonly table: LayerTable;
  readonly leases: Leases;
}

/** One file of the archive; its bytes are opened when it is its turn. */
interface Part {
  readonly path: string;
  readonly size: number;
  readonly open: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** An image as the archive holds it. */
interface Plan {
  readonly saved: SavedImage;
  readonly manifestBytes: Uint8Array;
  readonly manifestDigest: Digest;
  readonly mediaType: string;
  readonly layerPaths: readonly string[];
}

/**
 * One tar that is a Docker archive (manifest.json) and an OCI layout at once, as Docker 25 and later write it: older
 * engines read the former. The same images under the same names give the same bytes.
 */
export async function saveArchive(
  images: readonly SavedImage[],
  options: SaveOptions,
  saver: SaverOptions,
): Promise<ReadableStream<Uint8Array>> {
  const parts = new Map<string, Part>();
  // The images may be removed while they are being sent.
  const lease = saver.leases.open("save");
  for (const { image } of images) hold(image, heldLease(lease));
  const plans = await Promise.all(images.map((saved) => planImage(saved, parts, saver))).catch((error: unknown) => {
    lease.release();
    throw error;
  });
  const documents = [
    document("index.json", indexOf(plans)),
    ...(options.format === "oci" ? [] : [document("manifest.json", dockerManifest(plans))]),
    document("oci-layout", new TextEncoder().encode(OCI_LAYOUT)),
  ];
  const blobs = [...parts.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return streamOf(tarOf(blobs, documents, options.signal), () => lease.release());
}

async function planImage(saved: SavedImage, parts: Map<string, Part>, saver: SaverOptions): Promise<Plan> {
  const { image } = saved;
  const { blobs, table } = saver;
  const top = image.layers.at(-1);
  const rows = top === undefined ? [] : table.stack(top);
  const configBytes = await blobs.readAll(image.id);
  add(parts, document(blobName(image.id), configBytes));
  const original = rows.every((row, index) => canGive(row, image.manifest.layers[index]?.digest, blobs));
  const manifestBytes = original ? await blobs.readAll(image.manifestDigest) : manifestFor(configBytes, rows);
  const manifestDigest = digestOf(manifestBytes);
  const mediaType = original ? image.manifest.mediaType : MEDIA_TYPES.ociManifest;
  add(parts, document(blobName(manifestDigest), manifestBytes));
  const layers = rows.map((row, index) => layerPart(row, original ? image.manifest.layers[index] : undefined, saver));
  for (const layer of layers) add(parts, layer);
  return { saved, manifestBytes, manifestDigest, mediaType, layerPaths: layers.map(({ path }) => path) };
}

function canGive(row: LayerRow, digest: Digest | undefined, blobs: Blobs): boolean {
  return digest === row.diffId || (digest !== undefined && blobs.stat(digest) !== undefined);
}

function layerPart(
  row: LayerRow,
  descriptor: Image["manifest"]["layers"][number] | undefined,
  saver: SaverOptions,
): Part {
  const digest = descriptor?.digest ?? row.diffId;
  const path = blobName(digest);
  if (digest === row.diffId) return { path, size: row.tarSize, open: () => openLayerTar(row, saver) };
  const blob = saver.blobs.stat(digest);
  if (blob === undefined) throw new SlipwayError("not-found", `no blob ${digest}`);
  return { path, size: blob.size, open: () => streamBlob(saver.pool, saver.blobs.path(digest), digest) };
}

function add(parts: Map<string, Part>, part: Part): void {
  if (!parts.has(part.path)) parts.set(part.path, part);
}

function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

function document(path: string, bytes: Uint8Array): Part {
  return { path, size: bytes.length, open: () => [bytes] };
}

function indexOf(plans: readonly Plan[]): Uint8Array {
  const manifests = plans.flatMap(({ saved, manifestBytes, manifestDigest, mediaType }) =>
    nameDescriptor({ mediaType, digest: manifestDigest, size: manifestBytes.length }, saved.names),
  );
  return encodeIndex({ mediaType: MEDIA_TYPES.ociIndex, manifests });
}

function dockerManifest(plans: readonly Plan[]): Uint8Array {
  const entries = plans.map(({ saved, layerPaths }) => ({
    Config: blobName(saved.image.id),
    RepoTags: saved.names.length === 0 ? null : saved.names.map(familiarReference),
    Layers: layerPaths,
  }));
  return new TextEncoder().encode(JSON.stringify(entries));
}

async function* tarOf(
  blobs: readonly Part[],
  documents: readonly Part[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const directories = new Set(["blobs", ...blobs.map(({ path }) => path.slice(0, path.lastIndexOf("/")))]);
  for (const name of [...directories].sort()) yield encodeTarHeader({ name, type: "dir", mode: 0o755 });
  for (const part of [...blobs, ...documents]) {
    signal?.throwIfAborted();
    yield encodeTarHeader({ name: part.path, type: "file", mode: 0o644, size: part.size });
    let sent = 0;
    for await (const bytes of part.open()) {
      sent += bytes.length;
      yield bytes;
    }
    // The header has promised a size; an archive that is shifted from here on must not look whole.
    if (sent !== part.size) throw new SlipwayError("corrupt", `${part.path} has ${sent} bytes instead of ${part.size}`);
    if (padding(sent) > 0) yield new Uint8Array(padding(sent));
  }
  yield END_OF_ARCHIVE.slice();
}

function hold(image: Image, lease: HeldLease): void {
  lease.images.add(image.id);
  lease.blobs.add(image.id).add(image.manifestDigest);
  for (const chainId of image.layers) lease.layers.add(chainId);
  for (const { digest } of image.manifest.layers) lease.blobs.add(digest);
}

function streamOf(chunks: AsyncGenerator<Uint8Array>, end: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        if (!done) {
          controller.enqueue(value);
          return;
        }
        end();
        controller.close();
      } catch (error) {
        end();
        throw error;
      }
    },
    async cancel() {
      end();
      await chunks.return(undefined);
    },
  });
}
