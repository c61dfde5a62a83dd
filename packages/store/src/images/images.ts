import { readFileSync } from "node:fs";
import { didYouMean, SlipwayError } from "@slipway/base";
import {
  type ChainId,
  chainIdsOf,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestOf,
  encodeImageConfig,
  encodeManifest,
  familiarReference,
  formatPlatform,
  type ImageConfig,
  type ImageId,
  isDigest,
  type Manifest,
  MEDIA_TYPES,
  type Platform,
  parseImageConfig,
  parseManifest,
  parseReference,
  platformMatches,
  type Reference,
  withDefaultTag,
} from "@slipway/oci";
import type { Blobs } from "../blobs.ts";
import type { Image, ImageStore, LoadedImage, LoadOptions, PutImageOptions, SaveOptions } from "../faces.ts";
import { type LayerRow, type LayerTable, layerOf } from "../layers/layer-table.ts";
import { heldLease } from "../leases.ts";
import type { ImageRow, ImageTable } from "./image-table.ts";

/** Documents of images that are kept parsed. */
const MOST_CACHED = 256;

export interface ImagesOptions {
  readonly table: ImageTable;
  readonly layers: LayerTable;
  readonly blobs: Blobs;
  /** Told after each change of what images and names there are. */
  readonly onChange: () => void;
  readonly load: (archive: ReadableStream<Uint8Array>, options: LoadOptions) => Promise<LoadedImage[]>;
  readonly save: (images: readonly SavedImage[], options: SaveOptions) => Promise<ReadableStream<Uint8Array>>;
  readonly materialize: (image: Image, signal: AbortSignal | undefined) => Promise<void>;
}

/** An image with the names under which an archive shall have it. */
export interface SavedImage {
  readonly image: Image;
  readonly names: readonly Reference[];
}

interface Documents {
  readonly config: ImageConfig;
  readonly layers: readonly ChainId[];
  readonly manifest: Manifest;
  readonly manifestDigest: Digest;
}

export class Images implements ImageStore {
  readonly #table: ImageTable;
  readonly #layers: LayerTable;
  readonly #blobs: Blobs;
  readonly #options: ImagesOptions;
  /** By image and manifest: blobs never change. */
  readonly #documents = new Map<string, Documents>();

  constructor(options: ImagesOptions) {
    this.#table = options.table;
    this.#layers = options.layers;
    this.#blobs = options.blobs;
    this.#options = options;
  }

  async put(options: PutImageOptions): Promise<Image> {
    return this.putSync(options);
  }

  /** As `put`: config and manifest are small documents. */
  putSync(options: PutImageOptions): Image {
    const held = heldLease(options.lease);
    const configBytes = options.configBytes ?? encodeImageConfig(options.config).bytes;
    const id = digestOf(configBytes) as ImageId;
    const stack = this.#stackOf(options.config);
    const manifestBytes = options.manifestBytes ?? manifestFor(configBytes, stack);
    const manifest = this.#checkManifest(manifestBytes, configBytes, options.config);
    held.images.add(id);
    this.#blobs.putSync(configBytes, options.lease);
    const stored = this.#blobs.putSync(manifestBytes, options.lease);
    const target: Descriptor = options.target ?? {
      mediaType: manifest.mediaType,
      digest: stored.digest,
      size: stored.size,
    };
    const size = stack.reduce((sum, layer) => sum + layer.size, 0);
    const top = stack.at(-1)?.chainId ?? null;
    this.#table.put({ id, target, manifest: stored.digest, top, size, storedAt: Date.now() }, options.names);
    this.#options.onChange();
    return this.#require(id);
  }

  get(id: ImageId): Image | undefined {
    const row = this.#table.get(id);
    return row && this.#imageOf(row);
  }

  find(nameOrId: string): Image | undefined {
    const id = this.#findId(nameOrId);
    return id === undefined ? undefined : this.get(id);
  }

  resolve(nameOrId: string, platform?: Platform): Image {
    const image = this.find(nameOrId);
    if (image === undefined) throw this.#noSuchImage(nameOrId);
    if (platform !== undefined && !platformMatches(platform, image.config)) {
      throw new SlipwayError(
        "not-found",
        `image ${nameOrId} is for ${formatPlatform(image.config)}, not for ${formatPlatform(platform)}`,
        { hint: "Pull or build it for this platform." },
      );
    }
    return image;
  }

  list(): Image[] {
    return this.#table.all().map((row) => this.#imageOf(row));
  }

  tag(id: ImageId, name: Reference): void {
    this.#require(id);
    this.#table.addName(id, withDefaultTag(name));
    this.#options.onChange();
  }

  untag(name: Reference, image?: ImageId): ImageId {
    const id = this.#table.removeName(withDefaultTag(name), image);
    this.#options.onChange();
    return id;
  }

  remove(id: ImageId): void {
    if (!this.#table.remove(id)) throw new SlipwayError("not-found", `no such image: ${id}`);
    this.#options.onChange();
  }

  load(archive: ReadableStream<Uint8Array>, options: LoadOptions = {}): Promise<LoadedImage[]> {
    return this.#options.load(archive, options);
  }

  async save(nameOrIds: readonly string[], options: SaveOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const saved = new Map<ImageId, { image: Image; names: Reference[] }>();
    for (const text of nameOrIds) {
      const image = this.resolve(text);
      const entry = saved.get(image.id) ?? { image, names: [] };
      saved.set(image.id, entry);
      // Only the names that were asked for: saving by ID gives an archive without names, as with Docker.
      if (!isIdOf(text, image.id)) entry.names.push(withDefaultTag(parseReference(text)));
    }
    return this.#options.save([...saved.values()], options);
  }

  materialize(id: ImageId, signal?: AbortSignal): Promise<void> {
    return this.#options.materialize(this.#require(id), signal);
  }

  #require(id: ImageId): Image {
    const image = this.get(id);
    if (image === undefined) throw new SlipwayError("not-found", `no such image: ${id}`);
    return image;
  }

  #findId(text: string): ImageId | undefined {
    const name = nameIn(text);
    if (name?.digest !== undefined) {
      const { domain, path, digest } = name;
      const found = this.#table.byRepoDigest({ domain, path, digest });
      if (found !== undefined) return found;
    } else if (name !== undefined) {
      const found = this.#table.byName(withDefaultTag(name));
      if (found !== undefined) return found;
    }
    const hex = text.replace(/^sha256:/, "");
    if (!/^[0-9a-f]{1,64}$/.test(hex)) return undefined;
    const [first, second] = this.#table.beginningWith(hex);
    if (second !== undefined) {
      throw new SlipwayError("conflict", `'${text}' is the beginning of more than one image ID`, {
        hint: "Write more digits of it.",
      });
    }
    return first;
  }

  #noSuchImage(text: string): SlipwayError {
    const name = nameIn(text);
    const shown = name === undefined ? text : familiarReference(withDefaultTag(name));
    const names = this.#table.allNames().map((full) => familiarReference(parseReference(full)));
    return new SlipwayError("not-found", `No such image: ${shown}`, didYouMean(shown, names));
  }

  #imageOf(row: ImageRow): Image {
    const { id, target, size, storedAt } = row;
    const names = this.#table.names(id);
    const repoDigests = this.#table.repoDigests(id);
    return { id, target, size, storedAt, names, repoDigests, ...this.#documentsOf(row) };
  }

  #documentsOf({ id, manifest }: ImageRow): Documents {
    const key = `${id} ${manifest}`;
    const known = this.#documents.get(key);
    if (known !== undefined) return known;
    const config = parseImageConfig(readFileSync(this.#blobs.path(id)));
    const parsed = parseManifest(readFileSync(this.#blobs.path(manifest)));
    if (parsed.kind !== "manifest")
      throw new SlipwayError("corrupt", `image ${id} has an index where its manifest is expected`);
    const documents = { config, layers: chainIdsOf(config.diffIds), manifest: parsed, manifestDigest: manifest };
    if (this.#documents.size >= MOST_CACHED) this.#documents.clear();
    this.#documents.set(key, documents);
    return documents;
  }

  #stackOf(config: ImageConfig): LayerRow[] {
    const top = chainIdsOf(config.diffIds).at(-1);
    return top === undefined ? [] : this.#layers.stack(top);
  }

  #checkManifest(bytes: Uint8Array, configBytes: Uint8Array, config: ImageConfig): Manifest {
    const manifest = parseManifest(bytes);
    if (manifest.kind !== "manifest") throw new SlipwayError("invalid", "an image needs a manifest, not an index");
    const { digest } = manifest.config;
    // An image's ID is always of sha256; its manifest may name the config by another algorithm.
    const actual = digestOf(configBytes, digestAlgorithm(digest));
    if (actual !== digest) {
      throw new SlipwayError("invalid", `the manifest belongs to the config ${digest}, not to ${actual}`);
    }
    if (manifest.layers.length !== config.diffIds.length) {
      throw new SlipwayError(
        "invalid",
        `the manifest has ${manifest.layers.length} layers, but the config names ${config.diffIds.length}`,
      );
    }
    return manifest;
  }
}

/** A manifest for an image that was made here: its layers as they are, uncompressed. */
export function manifestFor(configBytes: Uint8Array, stack: readonly LayerRow[]): Uint8Array {
  return encodeManifest({
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf(configBytes), size: configBytes.length },
    layers: stack
      .map(layerOf)
      .map(({ diffId, tarSize }) => ({ mediaType: MEDIA_TYPES.ociLayer, digest: diffId, size: tarSize })),
  });
}

function nameIn(text: string): Reference | undefined {
  if (isDigest(text)) return undefined;
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

/** Whether the text that led to an image was its ID, and not a name. */
function isIdOf(text: string, id: ImageId): boolean {
  return (
    id === text ||
    (nameIn(text)?.digest === undefined && id.slice("sha256:".length).startsWith(text.replace(/^sha256:/, "")))
  );
}
