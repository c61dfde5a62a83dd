import { availableParallelism } from "node:os";
import type { Reference } from "@slipway/oci";
import type { Store } from "@slipway/store";
import { Compressor } from "./compressor.ts";
import type { Credentials } from "./credentials.ts";
import { RegistryHosts } from "./host.ts";
import type { RemoteImage } from "./image-documents.ts";
import { KnownBlobs } from "./known-blobs.ts";
import { LayerDownloads } from "./layer-downloads.ts";
import { LayerUploads } from "./layer-uploads.ts";
import { bringImage, type PulledImage, type PullOptions, pullImage, resolveImage } from "./pull.ts";
import { type PushedImage, type PushOptions, pushImage } from "./push.ts";
import { Repository } from "./repository.ts";
import { DEFAULT_SETTINGS, type RegistrySettings } from "./settings.ts";
import { listTags } from "./tags.ts";

export interface RegistryClientOptions {
  /** Opened with `registryMigrations` among its migrations. */
  readonly store: Store;
  /** What is left out is as in Docker. */
  readonly settings?: Partial<RegistrySettings>;
}

export interface RemoteOptions {
  readonly credentials?: Credentials | undefined;
  readonly signal: AbortSignal;
}

/** The way to registries, for everybody in the process: identical transfers of all of them join here. */
export class RegistryClient {
  readonly #store: Store;
  readonly #hosts: RegistryHosts;
  readonly #downloads: LayerDownloads;
  readonly #uploads: LayerUploads;
  readonly #compressor: Compressor;
  readonly #known: KnownBlobs;

  constructor(options: RegistryClientOptions) {
    const { store } = options;
    const settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#store = store;
    this.#hosts = new RegistryHosts(settings);
    this.#known = new KnownBlobs(store.database);
    this.#compressor = new Compressor(availableParallelism());
    this.#downloads = new LayerDownloads(store, settings);
    this.#uploads = new LayerUploads({ store, known: this.#known, compressor: this.#compressor, settings });
  }

  /** Throws `not-found`, `forbidden`, `unavailable`, `corrupt`, `invalid`, in Docker's words where it has any. */
  pull(reference: Reference, options: PullOptions): Promise<PulledImage> {
    return pullImage(this.#pulling(), reference, options);
  }

  /** Manifest and config of an image in a registry; nothing is stored. */
  resolve(reference: Reference, options: PullOptions): Promise<RemoteImage> {
    return resolveImage(this.#pulling(), reference, options);
  }

  /** The layers of an image that was resolved, and its record under the name. */
  fetch(
    reference: Reference,
    remote: RemoteImage,
    options: Pick<PullOptions, "onProgress" | "signal">,
  ): Promise<PulledImage> {
    return bringImage(this.#pulling(), reference, remote, options);
  }

  /** All tags of a repository. */
  async tags(reference: Reference, options: RemoteOptions): Promise<string[]> {
    return await listTags(await this.#repository(reference, options), options.signal);
  }

  push(reference: Reference, options: PushOptions): Promise<PushedImage> {
    const context = { store: this.#store, hosts: this.#hosts, uploads: this.#uploads };
    return pushImage(context, reference, options);
  }

  close(): void {
    this.#compressor.close();
  }

  async #repository({ domain, path }: Reference, { credentials, signal }: RemoteOptions): Promise<Repository> {
    return new Repository(await this.#hosts.open(domain, credentials, signal), path);
  }

  #pulling() {
    return { store: this.#store, hosts: this.#hosts, downloads: this.#downloads, known: this.#known };
  }
}
