import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { deflateRawSync } from "node:zlib";
import { SlipwayError } from "@slipway/base";
import { type ChainId, type Descriptor, type DiffId, type Digest, MEDIA_TYPES } from "@slipway/oci";
import type { Store } from "@slipway/store";
import type { Compressor } from "./compressor.ts";
import type { UploadSource } from "./upload.ts";

/** How layers are sent that have no form yet in which they must be. */
export interface LayerForm {
  readonly compression: "gzip" | "zstd" | "uncompressed";
  readonly level: number;
}

/** What a level may be, and is if nothing is said. */
export const LEVELS = {
  gzip: { least: 1, most: 9, usual: 6 },
  zstd: { least: 1, most: 19, usual: 3 },
} as const;

export function formName({ compression, level }: LayerForm): string {
  return compression === "uncompressed" ? compression : `${compression}-${level}`;
}

/** A layer of an image here, and its bytes. */
export interface LocalLayer {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  readonly tarSize: number;
}

const READ = 256 * 1024;

/** A file from a place in it on, as it is. */
export async function* fileBytes(path: string, offset: number): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    for (let at = offset; ; ) {
      const buffer = new Uint8Array(READ);
      const { bytesRead } = await file.read(buffer, 0, READ, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** A blob of the store as a source to upload. */
export function storedSource(store: Store, digest: Digest): UploadSource {
  return { open: (offset) => fileBytes(store.blobs.path(digest), offset), digest: async () => digest };
}

/** The uncompressed tar of a layer: the blob's file if there is one, made from the tree if not. */
async function* tarBytes(store: Store, { chainId, diffId }: LocalLayer): AsyncGenerator<Uint8Array> {
  if (store.blobs.stat(diffId) !== undefined) yield* fileBytes(store.blobs.path(diffId), 0);
  else yield* (await store.layers.openTar(chainId)).stream;
}

async function* skipping(source: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const chunk of source) {
    if (skip < chunk.length) yield skip === 0 ? chunk : chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}

export function plainSource(store: Store, layer: LocalLayer): UploadSource {
  const stored = store.blobs.stat(layer.diffId) !== undefined;
  if (stored) return storedSource(store, layer.diffId);
  return { open: (offset) => skipping(tarBytes(store, layer), offset), digest: async () => layer.diffId };
}

/**
 * A layer that is compressed while it is sent. Going on in the middle means compressing again from the beginning, which
 * gives the same bytes; nothing of it is kept on the disk.
 */
export class CompressedSource implements UploadSource {
  readonly #store: Store;
  readonly #layer: LocalLayer;
  readonly #compressor: Compressor;
  readonly #form: LayerForm & { readonly compression: "gzip" | "zstd" };
  #descriptor: Descriptor | undefined;

  constructor(
    store: Store,
    layer: LocalLayer,
    compressor: Compressor,
    form: LayerForm & { readonly compression: "gzip" | "zstd" },
  ) {
    this.#store = store;
    this.#layer = layer;
    this.#compressor = compressor;
    this.#form = form;
  }

  open(offset: number): AsyncIterable<Uint8Array> {
    return skipping(this.#compressed(), offset);
  }

  async digest(): Promise<Digest> {
    return this.descriptor.digest;
  }

  /** Of what was sent, once all of it was. */
  get descriptor(): Descriptor {
    if (this.#descriptor === undefined)
      throw new SlipwayError("internal", "the layer has not been compressed to its end");
    return this.#descriptor;
  }

  async *#compressed(): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    let size = 0;
    for await (const bytes of this.#compressor.compress(tarBytes(this.#store, this.#layer), this.#form)) {
      hash.update(bytes);
      size += bytes.length;
      yield bytes;
    }
    const digest = `sha256:${hash.digest("hex")}` as Digest;
    const mediaType = this.#form.compression === "gzip" ? MEDIA_TYPES.ociLayerGzip : MEDIA_TYPES.ociLayerZstd;
    this.#descriptor = { mediaType, digest, size };
  }
}

/** Samples of a tar, and how many bytes each has. */
const SAMPLES = 16;
const SAMPLE = 64 * 1024;
/** What becomes only so little smaller travels faster as it is. */
const WORTH = 0.9;
/** Below this, compressing costs nothing. Bytes. */
const SMALL = 1024 * 1024;

/** Whether compressing a layer makes it much smaller, judged by samples of it. */
export async function isCompressible(store: Store, layer: LocalLayer): Promise<boolean> {
  if (layer.tarSize < SMALL) return true;
  let before = 0;
  let after = 0;
  for await (const sample of samplesOf(store, layer)) {
    before += sample.length;
    after += deflateRawSync(sample, { level: 1 }).length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return after < before * WORTH;
}

async function* samplesOf(store: Store, layer: LocalLayer): AsyncGenerator<Uint8Array> {
  if (store.blobs.stat(layer.diffId) !== undefined) {
    const file = await open(store.blobs.path(layer.diffId), "r");
    try {
      const step = Math.floor((layer.tarSize - SAMPLE) / (SAMPLES - 1));
      for (let index = 0; index < SAMPLES; index++) {
        const buffer = new Uint8Array(SAMPLE);
        const { bytesRead } = await file.read(buffer, 0, SAMPLE, index * step);
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
    return;
  }
  // A tree's tar comes only from its beginning.
  let taken = 0;
  for await (const chunk of tarBytes(store, layer)) {
    yield chunk.subarray(0, SAMPLE);
    if (++taken === SAMPLES) return;
  }
}
