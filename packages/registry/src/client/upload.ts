import { isError, SlipwayError } from "@slipway/base";
import type { Digest } from "@slipway/oci";
import { refusedWith } from "./failures.ts";
import type { RegistryHost } from "./host.ts";
import type { Repository } from "./repository.ts";
import { persistently } from "./retry.ts";
import type { Incoming } from "./transport.ts";

/** Content to be uploaded, from any place in it, as often as needed. */
export interface UploadSource {
  /** Bytes from `offset` on. `undefined` size: only its end tells. */
  open(offset: number): AsyncIterable<Uint8Array>;
  /** Known before the content, or once all of it has been read. */
  digest(): Promise<Digest>;
}

export interface UploadOptions {
  readonly scopes: readonly string[];
  readonly signal: AbortSignal;
  readonly onBytes: (sent: number) => void;
  readonly onRetry: (milliseconds: number) => void;
}

/**
 * Uploads a blob as one stream, then names its digest (distribution specification, "Pushing a blob in chunks"). Broken off,
 * it asks how far the registry has come and goes on there, or begins anew if the registry has forgotten it.
 */
export async function uploadBlob(
  repository: Repository,
  source: UploadSource,
  options: UploadOptions,
): Promise<Digest> {
  const { host } = repository;
  const { maxAttempts: most, longestWait } = host.settings;
  const { signal, onRetry } = options;
  const upload = new Upload(repository, source, options);
  const digest = await persistently(() => upload.attempt(), {
    ...{ most, longestWait, signal, onRetry },
    progress: () => upload.accepted,
  }).catch(async (error: unknown) => {
    await upload.cancel();
    throw error;
  });
  return digest;
}

class Upload {
  readonly #repository: Repository;
  readonly #source: UploadSource;
  readonly #options: UploadOptions;
  #location: URL | undefined;
  /** All content has been taken; only the digest is to be named. */
  #complete = false;
  /** Bytes that the registry is known to have. */
  accepted = 0;

  constructor(repository: Repository, source: UploadSource, options: UploadOptions) {
    this.#repository = repository;
    this.#source = source;
    this.#options = options;
  }

  async attempt(): Promise<Digest> {
    if (this.#location !== undefined) await this.#recall(this.#location);
    const location = this.#location ?? (await this.#begin());
    const next = this.#complete ? location : await this.#send(location);
    return await this.#finish(next);
  }

  async cancel(): Promise<void> {
    if (this.#location === undefined) return;
    const { scopes } = this.#options;
    // Nobody waits for it long; the registry throws old uploads away by itself.
    const signal = AbortSignal.timeout(2000);
    await this.#host.send({ method: "DELETE", path: this.#location, scopes, signal }).then(
      (incoming) => incoming.end(),
      () => {},
    );
  }

  get #host(): RegistryHost {
    return this.#repository.host;
  }

  async #begin(): Promise<URL> {
    const { scopes, signal } = this.#options;
    const path = `/v2/${this.#repository.path}/blobs/uploads/`;
    // Content-Length: 0 is what some proxies insist on.
    const incoming = await this.#host.send({
      method: "POST",
      path,
      scopes,
      signal,
      headers: { "Content-Length": "0" },
    });
    this.accepted = 0;
    return this.#follow(incoming);
  }

  async #send(location: URL): Promise<URL> {
    const { scopes, signal, onBytes } = this.#options;
    const offset = this.accepted;
    const watch = new SendWatch(this.#host.settings.stallTimeout, signal, (sent) => onBytes(offset + sent));
    try {
      const incoming = await this.#host.send({
        method: "PATCH",
        path: location,
        scopes,
        signal: watch.signal,
        headers: { "Content-Type": "application/octet-stream" },
        body: () => watch.body(this.#source.open(offset)),
      });
      const next = this.#follow(incoming);
      this.#complete = true;
      return next;
    } catch (error) {
      signal.throwIfAborted();
      // What ended the content is the cause; that the request broke off only follows from it.
      throw watch.failure ?? error;
    } finally {
      watch.end();
    }
  }

  async #finish(location: URL): Promise<Digest> {
    const { scopes, signal } = this.#options;
    const digest = await this.#source.digest();
    const path = new URL(location);
    path.searchParams.set("digest", digest);
    const headers = { "Content-Length": "0" };
    const incoming = await this.#host.send({ method: "PUT", path, scopes, signal, headers, accept: [404] });
    incoming.end();
    if (incoming.response.status !== 404 || (await this.#repository.hasBlob(digest, scopes, signal))) return digest;
    // The registry knows nothing of the upload, nor has it the blob from an answer that got lost: begin anew.
    this.#location = undefined;
    this.#complete = false;
    throw new SlipwayError("unavailable", `${location.host} has forgotten the upload of ${digest}`);
  }

  /** Where the upload stands after a failure. */
  async #recall(location: URL): Promise<void> {
    const { scopes, signal } = this.#options;
    this.#complete = false;
    try {
      const incoming = await this.#host.send({ method: "GET", path: location, scopes, signal });
      const range = /^(?:bytes=)?0-(\d+)$/.exec(incoming.response.headers.get("range") ?? "")?.[1];
      this.#follow(incoming);
      // An empty upload is told as 0-0 too: one byte more than there may be, so begin at 0 then.
      this.accepted = range === undefined || range === "0" ? 0 : Number(range) + 1;
      if (this.accepted === 0) this.#location = undefined;
    } catch (error) {
      if (refusedWith(error) === undefined || isError(error, "unavailable")) throw error;
      this.#location = undefined;
    }
  }

  /** The address at which the upload goes on. Each answer may name another. */
  #follow(incoming: Incoming): URL {
    const { response, url } = incoming;
    incoming.end();
    const location = response.headers.get("location");
    if (location === null || !URL.canParse(location, url.href)) {
      if (location === null && this.#location !== undefined) return this.#location;
      throw new SlipwayError("invalid", `${url.host} accepts an upload without saying where it goes on`);
    }
    const next = new URL(location, url);
    if (next.protocol !== "http:" && next.protocol !== "https:") {
      throw new SlipwayError("invalid", `${url.host} wants an upload sent to the scheme '${next.protocol}'`);
    }
    if (url.protocol === "https:" && next.protocol === "http:") {
      // Registries behind a proxy that ends TLS often do not know that they are reached with it.
      if (next.hostname === url.hostname) next.protocol = "https:";
      else if (!this.#host.insecure) {
        throw new SlipwayError("forbidden", `${url.host} wants an upload sent to ${next.host} without TLS`);
      }
    }
    next.username = "";
    next.password = "";
    this.#location = next;
    return next;
  }
}

/** Counts what a request body gives away, and ends the request when nobody takes anything. */
class SendWatch {
  readonly signal: AbortSignal;
  failure: unknown;
  readonly #stop = new AbortController();
  readonly #onBytes: (sent: number) => void;
  readonly #timer: Timer;
  #sent = 0;
  #before = -1;

  constructor(stallTimeout: number, signal: AbortSignal, onBytes: (sent: number) => void) {
    this.#onBytes = onBytes;
    this.signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#timer = setInterval(() => {
      if (this.#sent === this.#before) {
        this.failure = new SlipwayError(
          "unavailable",
          `the upload stalled: nothing was taken for ${stallTimeout / 1000} s`,
        );
        this.#stop.abort(this.failure);
      }
      this.#before = this.#sent;
    }, stallTimeout);
  }

  body(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
    const iterator = source[Symbol.asyncIterator]();
    let cancelled = false;
    const next = () =>
      iterator.next().catch((error: unknown) => {
        this.failure = error;
        throw error;
      });
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const { done, value } = await next();
          // The request may have ended while the content was read.
          if (cancelled) return;
          if (done) return controller.close();
          this.#sent += value.length;
          controller.enqueue(value);
          this.#onBytes(this.#sent);
        },
        cancel: async () => {
          cancelled = true;
          await iterator.return?.();
        },
      },
      { highWaterMark: 0 },
    );
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/** Puts a small blob that is in memory. */
export async function uploadBytes(
  repository: Repository,
  bytes: Uint8Array,
  digest: Digest,
  options: UploadOptions,
): Promise<void> {
  const source: UploadSource = {
    async *open(offset) {
      yield bytes.subarray(offset);
    },
    digest: async () => digest,
  };
  await uploadBlob(repository, source, options);
}

/** Asks the registry to take a blob over from another of its repositories. False when it wants it uploaded. */
export async function mountBlob(
  repository: Repository,
  digest: Digest,
  from: string,
  options: { readonly scopes: readonly string[]; readonly signal: AbortSignal },
): Promise<boolean> {
  const { host, path } = repository;
  const query = new URLSearchParams({ mount: digest, from });
  const incoming = await host.persistently({
    method: "POST",
    path: `/v2/${path}/blobs/uploads/?${query}`,
    scopes: [...options.scopes, `repository:${from}:pull`],
    signal: options.signal,
    headers: { "Content-Length": "0" },
    accept: [400, 401, 403, 404, 405],
  });
  const { status, headers } = incoming.response;
  incoming.end();
  if (status === 201) return true;
  const location = headers.get("location");
  if (status === 202 && location !== null && URL.canParse(location, incoming.url.href)) {
    // It has opened an upload instead, which nobody wants.
    const address = new URL(location, incoming.url);
    await host.send({ method: "DELETE", path: address, scopes: options.scopes, signal: options.signal }).then(
      (ended) => ended.end(),
      () => {},
    );
  }
  return false;
}
