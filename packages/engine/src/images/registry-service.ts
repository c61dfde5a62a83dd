import { errorCode, isError, SlipwayError } from "@slipway/base";
import {
  chainIdsOf,
  digestOf,
  familiarName,
  familiarReference,
  formatReference,
  type Platform,
  parseManifest,
  parsePlatform,
  parseReference,
  type Reference,
  withDefaultTag,
} from "@slipway/oci";
import type {
  Credentials,
  LayerForm,
  OnProgress,
  RegistryClient,
  RemoteDescription,
  RemoteDocument,
  SearchResult,
} from "@slipway/registry";
import type { Image, Store } from "@slipway/store";
import type { EventLog } from "../events/event-log.ts";
import { booleanFilter, checkFilters, type Filters } from "../filters.ts";

export interface RegistryDependencies {
  readonly store: Store;
  readonly events: EventLog;
  readonly client: RegistryClient;
}

export interface TransferOptions {
  readonly credentials?: Credentials | undefined;
  readonly platform?: string | undefined;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
}

export interface RemoteAccess {
  readonly credentials?: Credentials | undefined;
  readonly signal: AbortSignal;
}

/** Who mistypes an image that is here sees a pull of the wrong name fail: the failure names the one that was meant. */
function withNearest(error: unknown, store: Store, name: string): unknown {
  if (!isError(error) || error.hint !== undefined || errorCode(error) === "cancelled") return error;
  try {
    store.images.resolve(name);
    return error;
  } catch (missing) {
    if (!isError(missing, "not-found") || missing.hint === undefined) return error;
    const details = { ...error.details, ...missing.details };
    return new SlipwayError(error.code, error.message, { cause: error, hint: missing.hint, details });
  }
}

/** Images that come from registries and go there. */
export class RegistryService {
  readonly #deps: RegistryDependencies;

  constructor(deps: RegistryDependencies) {
    this.#deps = deps;
  }

  /** By tag or digest; without either, all tags with `all`, else `latest`. */
  async pull(name: string, options: TransferOptions & { readonly all?: boolean }): Promise<void> {
    const { client } = this.#deps;
    const reference = parseReference(name);
    const platform = options.platform ? parsePlatform(options.platform) : undefined;
    const isWhole = reference.tag === undefined && reference.digest === undefined;
    if (options.all !== true || !isWhole) {
      await this.#pullOne(withDefaultTag(reference), platform, options).catch((error: unknown) => {
        throw withNearest(error, this.#deps.store, name);
      });
      return;
    }
    let isNew = false;
    for (const tag of await client.tags(reference, options)) {
      const pulled = await this.#pullOne({ ...reference, tag }, platform, options, false);
      isNew ||= pulled;
    }
    options.onProgress({ status: statusLine(reference, isNew) });
  }

  /** One tag, or all of the repository. */
  async push(
    name: string,
    options: TransferOptions & { readonly tag?: string | undefined; readonly form?: LayerForm | undefined },
    onPushed: (pushed: { readonly tag: string; readonly digest: string; readonly size: number }) => void,
  ): Promise<void> {
    const { client, events, store } = this.#deps;
    const given = parseReference(name);
    if (given.digest !== undefined) throw new SlipwayError("invalid", "cannot push a digest reference");
    const { domain, path } = given;
    const asked = options.tag || given.tag;
    const tags = asked === undefined ? tagsOf(store, given) : [asked];
    options.onProgress({ status: `The push refers to repository [${domain}/${path}]` });
    if (tags.length === 0 || !isKnown(store, given)) {
      throw new SlipwayError("not-found", `An image does not exist locally with the tag: ${familiarName(given)}`);
    }
    for (const tag of tags) {
      const reference: Reference = { domain, path, tag };
      const image = store.images.find(formatReference(reference));
      const platform = options.platform ? parsePlatform(options.platform) : undefined;
      const { digest, size } = await client.push(reference, { ...options, platform });
      onPushed({ tag, digest, size });
      if (image === undefined) continue;
      const attributes = { name: familiarReference(reference) };
      events.publish({ type: "image", action: "push", id: familiarReference(reference), attributes });
    }
  }

  login(
    serverAddress: string,
    options: { readonly credentials: Credentials; readonly signal: AbortSignal },
  ): Promise<{ readonly identityToken: string }> {
    return this.#deps.client.login(serverAddress, options);
  }

  async search(
    term: string,
    options: RemoteAccess & { readonly limit: number; readonly filters: Filters },
  ): Promise<SearchResult[]> {
    const { filters, limit } = options;
    checkFilters(filters, ["is-official", "is-automated", "stars"]);
    const official = booleanFilter(filters, "is-official");
    const automated = booleanFilter(filters, "is-automated");
    const stars = Math.max(0, ...(filters.stars ?? []).map(Number));
    if (Number.isNaN(stars)) throw new SlipwayError("invalid", "invalid filter 'stars': not a number");
    if (limit < 1 || limit > 100) {
      throw new SlipwayError("invalid", `limit ${limit} is outside the range of [1, 100]`);
    }
    const found = await this.#deps.client.search(term, options);
    return found.filter(
      (result) =>
        result.stars >= stars &&
        (official === undefined || result.official === official) &&
        (automated === undefined || result.automated === automated),
    );
  }

  describe(name: string, options: RemoteAccess): Promise<RemoteDescription> {
    return this.#deps.client.describe(withDefaultTag(parseReference(name)), options);
  }

  /** An image of a registry as `inspect` shows it; its size is that of what would travel. */
  async inspect(name: string, options: RemoteAccess & { readonly platform?: string | undefined }): Promise<Image> {
    const reference = withDefaultTag(parseReference(name));
    const platform = options.platform ? parsePlatform(options.platform) : undefined;
    const { credentials, signal } = options;
    const remote = await this.#deps.client.resolve(reference, { platform, credentials, signal });
    const { id, config, target, manifest, manifestBytes } = remote;
    const { domain, path, tag } = reference;
    return {
      ...{ id, config, target, manifest, manifestDigest: digestOf(manifestBytes) },
      layers: chainIdsOf(config.diffIds),
      names: tag === undefined ? [] : [{ domain, path, tag }],
      repoDigests: [{ domain, path, digest: target.digest }],
      size: manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
      storedAt: 0,
    };
  }

  async document(name: string, options: RemoteAccess & { readonly config: boolean }): Promise<RemoteDocument> {
    const { client } = this.#deps;
    const reference = withDefaultTag(parseReference(name));
    const document = await client.document(reference, options);
    if (!options.config) return document;
    const parsed = parseManifest(document.bytes, document.mediaType);
    if (parsed.kind === "index") throw new SlipwayError("invalid", `${name} is an index: name one of its manifests`);
    const bytes = await client.blob(reference, parsed.config, options);
    return { bytes, mediaType: parsed.config.mediaType, digest: parsed.config.digest };
  }

  putDocument(
    name: string,
    document: { readonly bytes: Uint8Array; readonly mediaType: string },
    options: RemoteAccess,
  ): Promise<string> {
    // What is no manifest must not be pushed as one.
    parseManifest(document.bytes, document.mediaType);
    return this.#deps.client.putDocument(withDefaultTag(parseReference(name)), document, options);
  }

  copy(
    source: string,
    target: string,
    { credentials, sourceCredentials, signal }: RemoteAccess & { readonly sourceCredentials?: Credentials | undefined },
  ): Promise<string> {
    const [from, to] = [source, target].map((name) => withDefaultTag(parseReference(name))) as [Reference, Reference];
    return this.#deps.client.copy(from, to, { sourceCredentials, targetCredentials: credentials, signal });
  }

  /** What a registry has under a name, for a build: its layers come when they are asked for. */
  async resolve(
    name: string,
    options: {
      readonly platform?: Platform | undefined;
      readonly credentials: Readonly<Record<string, Credentials>>;
      readonly signal: AbortSignal;
    },
  ): Promise<{
    readonly image: Pick<Image, "id" | "config" | "layers">;
    fetch(onProgress: OnProgress, signal: AbortSignal): Promise<void>;
  }> {
    const { client } = this.#deps;
    const reference = withDefaultTag(parseReference(name));
    const credentials = options.credentials[reference.domain];
    const { signal, platform } = options;
    const remote = await client.resolve(reference, { platform, credentials, signal });
    return {
      image: { id: remote.id, config: remote.config, layers: chainIdsOf(remote.config.diffIds) },
      fetch: async (onProgress, own) => void (await client.fetch(reference, remote, { onProgress, signal: own })),
    };
  }

  /** The image of a name, pulled unless it is here. For builds and whoever else needs it now. */
  async need(name: string, options: TransferOptions & { readonly always?: boolean }): Promise<Image> {
    const { store } = this.#deps;
    const here = options.always === true ? undefined : store.images.find(name);
    if (here !== undefined) return here;
    const platform = options.platform ? parsePlatform(options.platform) : undefined;
    await this.#pullOne(withDefaultTag(parseReference(name)), platform, options);
    return store.images.resolve(name);
  }

  async #pullOne(
    reference: Reference,
    platform: Platform | undefined,
    { credentials, onProgress, signal }: TransferOptions,
    last = true,
  ): Promise<boolean> {
    const { client, events } = this.#deps;
    const { isNew } = await client.pull(reference, { platform, credentials, onProgress, signal });
    const shown = familiarReference(reference);
    events.publish({ type: "image", action: "pull", id: shown, attributes: { name: familiarName(reference) } });
    if (last) onProgress({ status: statusLine(reference, isNew) });
    return isNew;
  }
}

function statusLine(reference: Reference, isNew: boolean): string {
  const shown = familiarReference(reference);
  return isNew ? `Status: Downloaded newer image for ${shown}` : `Status: Image is up to date for ${shown}`;
}

/** Whether anything here has a name in the repository. */
function isKnown(store: Store, { domain, path }: Reference): boolean {
  const names = store.images.list().flatMap((image) => [...image.names, ...image.repoDigests]);
  return names.some((name) => name.domain === domain && name.path === path);
}

function tagsOf(store: Store, { domain, path }: Reference): string[] {
  const names = store.images.list().flatMap((image) => image.names);
  return names.flatMap((name) => (name.domain === domain && name.path === path && name.tag ? [name.tag] : [])).sort();
}
