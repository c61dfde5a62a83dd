import { errorCode, errorMessage, isError, SlipwayError } from "@slipway/base";
import { type Digest, digestOf, type Platform } from "@slipway/oci";
import type { Image, Store } from "@slipway/store";
import type { BuildEvent } from "../faces.ts";

/** What a plan must know of an image; its files may be elsewhere yet. */
export type BaseImage = Pick<Image, "id" | "config" | "layers">;

/** An image in a registry: known by its documents, its layers fetched when `fetch` is called. */
export interface RemoteBase {
  readonly image: BaseImage;
  fetch(onProgress: (step: FetchStep) => void, signal: AbortSignal): Promise<void>;
}

/** Bytes. */
export interface FetchStep {
  readonly id?: string;
  readonly status: string;
  readonly current?: number;
  readonly total?: number;
}

/** Who knows registries. `always` asks them also for what is here. */
export interface RemoteImages {
  resolve(
    name: string,
    options: {
      readonly platform?: Platform | undefined;
      readonly credentials: RegistryLogins;
      readonly signal: AbortSignal;
    },
  ): Promise<RemoteBase>;
}

/** Logins by registry, as `X-Registry-Config` brings them. */
export type RegistryLogins = Readonly<
  Record<
    string,
    {
      readonly username: string;
      readonly password: string;
      readonly identityToken?: string;
      readonly registryToken?: string;
    }
  >
>;

export interface BaseImagesOptions {
  readonly store: Store;
  readonly remote: RemoteImages | undefined;
  readonly platform: Platform | undefined;
  readonly credentials: RegistryLogins;
  /** Ask the registries for every image. */
  readonly always: boolean;
  readonly signal: AbortSignal;
}

/** The base images of one build: those of the store, and those that a registry has. */
export class BaseImages {
  readonly #options: BaseImagesOptions;
  readonly #remote = new Map<string, RemoteBase>();
  readonly #failures = new Map<string, unknown>();
  #missing: string | undefined;

  constructor(options: BaseImagesOptions) {
    this.#options = options;
  }

  /** Throws when it is not known yet: then `resolveMissing` says whether asking again helps. */
  find(name: string): BaseImage {
    const { store, remote, always } = this.#options;
    const known = this.#remote.get(name);
    if (known !== undefined) return known.image;
    if (this.#failures.has(name)) throw this.#failures.get(name);
    if (remote === undefined) return findLocal(store, name);
    const local = always ? undefined : store.images.find(name);
    if (local !== undefined) return local;
    this.#missing = name;
    throw new SlipwayError("not-found", `image ${name} is not in the local store`);
  }

  /** Asks the registry for the image that was missing last. False when nothing was. */
  async resolveMissing(): Promise<boolean> {
    const { remote, platform, credentials, signal } = this.#options;
    const name = this.#missing;
    this.#missing = undefined;
    if (name === undefined || remote === undefined) return false;
    try {
      this.#remote.set(name, await remote.resolve(name, { platform, credentials, signal }));
    } catch (error) {
      signal.throwIfAborted();
      // Told when the plan asks again, which knows the place.
      this.#failures.set(name, withName(name, error));
    }
    return true;
  }

  /** Brings the layers of an image that came from a registry; undefined when there is nothing to bring. */
  fetcher(name: string, vertex: Digest, onEvent: (event: BuildEvent) => void) {
    const base = this.#remote.get(name);
    if (base === undefined) return undefined;
    return (signal: AbortSignal) =>
      base.fetch(({ id = name, status, current = 0, total }) => {
        const completed = status === "Pull complete" || status === "Already exists";
        const size = total === undefined ? {} : { total };
        onEvent({ type: "status", vertex, id, current, ...size, time: Date.now(), ...(completed && { completed }) });
      }, signal);
  }
}

function withName(name: string, error: unknown): SlipwayError {
  const message = `failed to resolve source metadata for ${name}: ${errorMessage(error)}`;
  const hint = error instanceof SlipwayError ? error.hint : undefined;
  return new SlipwayError(errorCode(error), message, { cause: error, ...(hint !== undefined && { hint }) });
}

/** Names a fetch among those of all builds that run. */
export function fetchKey(name: string, id: string): string {
  return `image ${digestOf(`${name} ${id}`)}`;
}

function findLocal(store: Store, name: string): Image {
  try {
    return store.images.resolve(name);
  } catch (error) {
    if (!isError(error, "not-found")) throw error;
    const near = error.hint === undefined ? "" : ` ${error.hint}`;
    throw new SlipwayError("not-found", `image ${name} is not in the local store, and this builder has no registries`, {
      hint: `Load it first: slipway load -i FILE, or make it of a root file system: slipway import FILE ${name}.${near}`,
      cause: error,
    });
  }
}
