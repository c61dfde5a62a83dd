import { availableParallelism } from "node:os";
import { type Descriptor, type Digest, digestOf, MAX_MANIFEST_SIZE, type Reference } from "@slipway/oci";
import type { Store } from "@slipway/store";
import { Compressor } from "./compressor.ts";
import { copyDocument, targetTag, writeScopes } from "./copy.ts";
import type { Credentials } from "./credentials.ts";
import { describeImage, type RemoteDescription, rawDocument } from "./describe.ts";
import { RegistryHosts } from "./host.ts";
import type { RemoteImage } from "./image-documents.ts";
import { KnownBlobs } from "./known-blobs.ts";
import { LayerDownloads } from "./layer-downloads.ts";
import { LayerUploads } from "./layer-uploads.ts";
import { checkLogin } from "./login.ts";
import { bringImage, type PulledImage, type PullOptions, pullImage, resolveImage } from "./pull.ts";
import { type PushedImage, type PushOptions, pushImage } from "./push.ts";
import { pushDocument } from "./push-document.ts";
import { type RemoteDocument, Repository } from "./repository.ts";
import { type SearchResult, searchImages } from "./search.ts";
import { DEFAULT_SETTINGS, type RegistrySettings } from "./settings.ts";
import { listTags } from "./tags.ts";

export interface RegistryClientOptions {
  /** Opened with `registryMigrations` among its migrations. */
  readonly store: Store;
  /** What is left out is as in Docker. */
  readonly settings?: Partial<RegistrySettings>;
}

export interface CopyBetweenOptions {
  readonly sourceCredentials?: Credentials | undefined;
  readonly targetCredentials?: Credentials | undefined;
  readonly signal: AbortSignal;
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

  /** Whether a registry takes credentials. Throws `unauthorized`. */
  login(
    serverAddress: string,
    options: { readonly credentials: Credentials; readonly signal: AbortSignal },
  ): Promise<{ readonly identityToken: string }> {
    return checkLogin(this.#hosts, serverAddress, options);
  }

  search(term: string, options: RemoteOptions & { readonly limit: number }): Promise<SearchResult[]> {
    return searchImages(this.#hosts, term, options);
  }

  /** What a name means in a registry, and for which platforms. */
  async describe(reference: Reference, options: RemoteOptions): Promise<RemoteDescription> {
    return await describeImage(await this.#repository(reference, options), reference, options.signal);
  }

  /** A manifest or index of a registry as it is. */
  async document(reference: Reference, options: RemoteOptions): Promise<RemoteDocument> {
    return await rawDocument(await this.#repository(reference, options), reference, options.signal);
  }

  /** A small blob of a registry: a config. Throws `exhausted` above 8 MiB. */
  async blob(reference: Reference, descriptor: Descriptor, options: RemoteOptions): Promise<Uint8Array> {
    return await (await this.#repository(reference, options)).blob(descriptor, MAX_MANIFEST_SIZE, options.signal);
  }

  /** Copies a document and all that it names from one repository to another. */
  async copy(source: Reference, target: Reference, options: CopyBetweenOptions): Promise<Digest> {
    const { signal } = options;
    const from = await this.#repository(source, { credentials: options.sourceCredentials, signal });
    const to = await this.#repository(target, { credentials: options.targetCredentials, signal });
    const document = await rawDocument(from, source, signal);
    return await copyDocument(from, to, document, { signal, tag: targetTag(target) });
  }

  /** Puts a manifest or an index that is in memory; what it names must be there. */
  async putDocument(
    target: Reference,
    document: { readonly bytes: Uint8Array; readonly mediaType: string },
    options: RemoteOptions,
  ): Promise<Digest> {
    const repository = await this.#repository(target, options);
    const place = { repository, scopes: writeScopes(repository), signal: options.signal };
    const reference = targetTag(target) ?? target.digest ?? digestOf(document.bytes);
    return await pushDocument(place, { ...document, reference });
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
