import { unlinkSync } from "node:fs";
import { JsonReader, SlipwayError } from "@slipway/base";
import {
  type ChainId,
  chainIdOf,
  type DiffId,
  type Digest,
  digestAlgorithm,
  digestHex,
  digestOf,
  type ImageConfig,
  parseImageConfig,
  parseReference,
  type Reference,
  withDefaultTag,
} from "@slipway/oci";
import type { Blobs } from "../blobs.ts";
import type { Lease, LoadedImage } from "../faces.ts";
import type { Images } from "../images/images.ts";
import type { LayerTable } from "../layers/layer-table.ts";
import type { Layers } from "../layers/layers.ts";
import { heldLease } from "../leases.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { ArchiveContents, ArchiveFile } from "./archive-reader.ts";
import { readLegacyImages } from "./legacy-archive.ts";
import { readOciImages } from "./oci-archive.ts";

/** An image as an archive describes it, checked against itself but not yet stored. */
export interface ArchivedImage {
  readonly configBytes: Uint8Array;
  readonly manifestBytes?: Uint8Array;
  readonly names: readonly Reference[];
  /** Paths in the archive, bottom first. */
  readonly layerPaths: readonly string[];
}

export interface ArchiveLoaderOptions {
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly table: LayerTable;
  readonly images: Images;
  readonly pool: WorkerPool;
  readonly lease: Lease;
  readonly signal: AbortSignal | undefined;
}

/** Stores the images of an archive that has been taken apart. All are checked before the first is named. */
export async function storeArchive(contents: ArchiveContents, options: ArchiveLoaderOptions): Promise<LoadedImage[]> {
  const archive = new Archive(contents);
  try {
    const found = readImages(archive);
    const prepared = [];
    for (const image of found) prepared.push({ image, config: await storeLayers(archive, image, options) });
    return prepared.map(({ image, config }) => {
      const { configBytes, manifestBytes, names } = image;
      const stored = options.images.putSync({
        config,
        configBytes,
        ...(manifestBytes && { manifestBytes }),
        names,
        lease: options.lease,
      });
      return { image: stored, names };
    });
  } finally {
    archive.removeTemporaries();
  }
}

function readImages(archive: Archive): ArchivedImage[] {
  if (archive.has("manifest.json")) return readDockerImages(archive);
  const isLegacy = archive.has("repositories") && !archive.has("index.json");
  return isLegacy ? readLegacyImages(archive) : readOciImages(archive);
}

/** The files of an archive by path, through its links. */
export class Archive {
  readonly #contents: ArchiveContents;
  readonly #adopted = new Set<string>();

  constructor(contents: ArchiveContents) {
    this.#contents = contents;
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  file(path: string): ArchiveFile {
    const file = this.#find(path);
    if (file === undefined)
      throw new SlipwayError("invalid", `the archive names '${shorten(path)}', which is not in it`);
    return file;
  }

  /** A JSON document's bytes. Throws `invalid` with its path. */
  document(path: string): Uint8Array {
    const file = this.file(path);
    if (file.kind !== "document") throw new SlipwayError("invalid", `'${shorten(path)}' in the archive is not JSON`);
    return file.bytes;
  }

  json(path: string): JsonReader {
    return JsonReader.parse(this.document(path), `'${shorten(path)}' in the archive`);
  }

  /** A temporary file has become something else. */
  adopted(temporary: string): void {
    this.#adopted.add(temporary);
  }

  isAdopted(temporary: string): boolean {
    return this.#adopted.has(temporary);
  }

  removeTemporaries(): void {
    for (const file of this.#contents.files.values()) {
      if (file.kind === "blob" && !this.#adopted.has(file.temporary)) unlinkSync(file.temporary);
    }
  }

  #find(path: string): ArchiveFile | undefined {
    let name = path.replace(/^\.\//, "");
    for (let hops = 0; hops < 10; hops++) {
      const file = this.#contents.files.get(name);
      if (file !== undefined) return file;
      const target = this.#contents.links.get(name);
      if (target === undefined) return undefined;
      name = target;
    }
    return undefined;
  }
}

function shorten(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}...` : path;
}

/** `docker save`, `podman save`, skopeo's `docker-archive:`: an array in manifest.json names configs, layers and tags. */
function readDockerImages(archive: Archive): ArchivedImage[] {
  const entries = archive.json("manifest.json").array();
  if (entries.length === 0) throw new SlipwayError("invalid", "manifest.json in the archive names no image");
  const manifests = manifestsByConfig(archive);
  return entries.map((entry) => {
    const configPath = entry.field("Config").string();
    const configBytes = archive.document(configPath);
    const config = digestOf(configBytes);
    checkNamedDigest(configPath, config);
    const manifestBytes = manifests.get(config);
    return {
      configBytes,
      names: entry
        .field("RepoTags")
        .strings()
        .map((tag) => withDefaultTag(parseReference(tag))),
      layerPaths: entry.field("Layers").strings(),
      ...(manifestBytes && { manifestBytes }),
    };
  });
}

/** Docker 25 and later write an OCI layout into the same archive: its manifests are kept byte for byte. */
function manifestsByConfig(archive: Archive): Map<Digest, Uint8Array> {
  if (!archive.has("index.json")) return new Map();
  try {
    return new Map(
      readOciImages(archive).flatMap(({ configBytes, manifestBytes }) =>
        manifestBytes ? [[digestOf(configBytes), manifestBytes] as const] : [],
      ),
    );
  } catch {
    // manifest.json is complete in itself; a broken index beside it costs only the manifest's digest.
    return new Map();
  }
}

/** A file that is named by a digest must have it. */
function checkNamedDigest(path: string, actual: Digest): void {
  const hex = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(path)?.[1];
  if (hex === undefined || hex === digestHex(actual)) return;
  throw new SlipwayError("corrupt", `'${path}' in the archive has the digest ${actual}`, {
    hint: "The archive is damaged or was changed. Get it again.",
  });
}

async function storeLayers(
  archive: Archive,
  image: ArchivedImage,
  options: ArchiveLoaderOptions,
): Promise<ImageConfig> {
  const config = parseImageConfig(image.configBytes);
  const { diffIds } = config;
  if (diffIds.length !== image.layerPaths.length) {
    throw new SlipwayError(
      "invalid",
      `the archive has ${image.layerPaths.length} layers for an image whose config names ${diffIds.length}`,
    );
  }
  const exact = image.manifestBytes !== undefined;
  let parent: ChainId | undefined;
  for (const [index, diffId] of diffIds.entries()) {
    options.signal?.throwIfAborted();
    parent = await storeLayer(archive, { path: image.layerPaths[index] ?? "", diffId, parent, exact }, options);
  }
  return config;
}

interface WantedLayer {
  readonly path: string;
  readonly diffId: DiffId;
  readonly parent: ChainId | undefined;
  readonly exact: boolean;
}

async function storeLayer(archive: Archive, wanted: WantedLayer, options: ArchiveLoaderOptions): Promise<ChainId> {
  const { path, diffId, parent } = wanted;
  const { table, blobs, layers, lease } = options;
  const chainId = chainIdOf(parent, diffId);
  heldLease(lease).layers.add(chainId);
  const file = archive.file(path);
  const known = table.diff(diffId);
  // With a manifest of its own, the image needs the very blob that it names, perhaps another compression.
  const isEnough =
    file.kind === "known" ||
    (known?.tar != null && (!wanted.exact || file.kind !== "blob" || known.tar === file.digest));
  if (known !== undefined && isEnough) {
    table.addLayer(chainId, parent, diffId);
    return chainId;
  }
  if (file.kind === "document")
    throw new SlipwayError("invalid", `'${shorten(path)}' in the archive is not a layer but JSON`);
  if (file.kind === "known") {
    await layers.fromTar({
      ...(parent && { parent }),
      blob: file.digest,
      diffId,
      lease,
      ...(options.signal && { signal: options.signal }),
    });
    return chainId;
  }
  if (file.compression === "unsupported") {
    throw new SlipwayError("invalid", `layer '${shorten(path)}' is compressed with something other than gzip and zstd`);
  }
  if (file.problem !== undefined) throw new SlipwayError("invalid", `layer '${shorten(path)}': ${file.problem}`);
  const { compression, digest, size, temporary } = file;
  const inspected = file.facts ?? (await inspectLayer(path, temporary, compression, options));
  if (inspected.diffId !== diffId) {
    throw new SlipwayError(
      "corrupt",
      `layer '${shorten(path)}' has the diff ID ${inspected.diffId}, its config expects ${diffId}`,
      {
        hint: "The archive is damaged or was changed. Get it again.",
      },
    );
  }
  checkLayerDigest(path, digest);
  heldLease(lease).blobs.add(digest);
  if (!archive.isAdopted(temporary)) blobs.adopt(temporary, { digest, size });
  archive.adopted(temporary);
  layers.addTar(parent, inspected, { digest, compression }, lease);
  if (inspected.externalLinks > 0) await layers.lowers(chainId, options.signal);
  return chainId;
}

async function inspectLayer(
  path: string,
  temporary: string,
  compression: "none" | "gzip" | "zstd",
  { pool, signal }: ArchiveLoaderOptions,
) {
  try {
    return await pool.run({ op: "inspect", path: temporary, compression }, signal);
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.code === "cancelled") throw error;
    throw new SlipwayError(error.code, `layer '${shorten(path)}': ${error.message}`, { cause: error });
  }
}

function checkLayerDigest(path: string, digest: Digest): void {
  const named = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(path);
  if (named === null || (named[1] === digestAlgorithm(digest) && named[2] === digestHex(digest))) return;
  throw new SlipwayError("corrupt", `'${shorten(path)}' in the archive has the digest ${digest}`, {
    hint: "The archive is damaged or was changed. Get it again.",
  });
}
