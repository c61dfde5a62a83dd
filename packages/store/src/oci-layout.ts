import { writeFileAtomic } from "@slipway/base";
import {
  type Descriptor,
  encodeIndex,
  familiarReference,
  formatReference,
  MEDIA_TYPES,
  type Reference,
} from "@slipway/oci";
import type { Blobs } from "./blobs.ts";
import type { Image, StorePaths } from "./faces.ts";
import { ociIndexPath, ociLayoutPath } from "./paths.ts";

export const OCI_LAYOUT = '{"imageLayoutVersion":"1.0.0"}';
/** OCI image specification 1.1, annotations.md; and the one by which containerd and Docker know the whole name. */
export const REF_NAME = "org.opencontainers.image.ref.name";
export const CONTAINERD_NAME = "io.containerd.image.name";

/**
 * Keeps `content/` an OCI image layout, so that other tools can read our store. It lists the images whose every blob is
 * there: one that was only built or run has trees and no tars (`materialize` makes them).
 */
export class OciLayout {
  readonly #paths: StorePaths;
  readonly #blobs: Blobs;
  readonly #images: () => Image[];
  #written = "";
  #timer: Timer | undefined;

  constructor(paths: StorePaths, blobs: Blobs, images: () => Image[]) {
    this.#paths = paths;
    this.#blobs = blobs;
    this.#images = images;
  }

  /** Writes the index soon; many changes in a row cost one write. */
  changed(): void {
    this.#timer ??= setTimeout(() => this.write(), DELAY_MS).unref();
  }

  /** Writes the index now, if it is not what it should be. Readers see the old one or the new one. */
  write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = new TextDecoder().decode(
      indexOf(
        this.#images().filter((image) => this.#isComplete(image)),
        this.#blobs,
      ),
    );
    if (text === this.#written) return;
    writeFileAtomic(ociLayoutPath(this.#paths), OCI_LAYOUT, { durable: false });
    writeFileAtomic(ociIndexPath(this.#paths), text, { durable: false });
    this.#written = text;
  }

  #isComplete({ manifest }: Image): boolean {
    return manifest.layers.every((layer) => this.#blobs.stat(layer.digest) !== undefined);
  }
}

const DELAY_MS = 50;

function indexOf(images: readonly Image[], blobs: Blobs): Uint8Array {
  const manifests = images.flatMap(({ manifest, manifestDigest, names }) =>
    nameDescriptor(
      { mediaType: manifest.mediaType, digest: manifestDigest, size: blobs.stat(manifestDigest)?.size ?? 0 },
      names,
    ),
  );
  return encodeIndex({ mediaType: MEDIA_TYPES.ociIndex, manifests });
}

/** One descriptor a name; without a name, one. */
export function nameDescriptor(descriptor: Descriptor, names: readonly Reference[]): Descriptor[] {
  if (names.length === 0) return [descriptor];
  return names.map((name) => ({
    ...descriptor,
    annotations: {
      ...descriptor.annotations,
      [CONTAINERD_NAME]: formatReference(name),
      [REF_NAME]: familiarReference(name),
    },
  }));
}
