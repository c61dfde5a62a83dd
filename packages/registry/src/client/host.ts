import { SlipwayError } from "@slipway/base";
import { Authorizer, type Scopes } from "./authorizer.ts";
import { type BodyLimits, readStart } from "./body.ts";
import { ANONYMOUS, type Credentials, credentialKey } from "./credentials.ts";
import { MOST_ERROR_BYTES, refusal } from "./failures.ts";
import { inNetwork, isLoopback } from "./networks.ts";
import { persistently, readRetryAfter } from "./retry.ts";
import type { RegistrySettings } from "./settings.ts";
import { type Incoming, type RequestBody, Transport } from "./transport.ts";

/** A request to one registry. */
export interface HostRequest {
  readonly method: string;
  /** Below the registry's base (`/v2/...`), or an address that the registry gave. */
  readonly path: string | URL;
  readonly scopes: Scopes;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: () => RequestBody;
  readonly signal: AbortSignal;
  /** Statuses besides 2xx that are answers and not failures. */
  readonly accept?: readonly number[];
}

export interface HostOptions {
  readonly base: URL;
  readonly insecure: boolean;
  readonly credentials: Credentials;
  readonly transport: Transport;
  readonly settings: RegistrySettings;
}

/** How often a request is sent again because the registry wants to know who asks: for its first challenge, and for a token that ended. */
const MOST_CHALLENGES = 2;

/** One registry, for one user: authorized requests whose refusals are errors. */
export class RegistryHost {
  readonly base: URL;
  readonly insecure: boolean;
  readonly authorizer: Authorizer;
  readonly settings: RegistrySettings;
  readonly #transport: Transport;

  constructor(options: HostOptions) {
    this.base = options.base;
    this.insecure = options.insecure;
    this.settings = options.settings;
    this.#transport = options.transport;
    this.authorizer = new Authorizer(options);
  }

  limits(signal: AbortSignal): BodyLimits {
    return { stallTimeout: this.settings.stallTimeout, signal };
  }

  /** Throws a refusal (see failures.ts) for a status that is neither 2xx nor accepted. */
  async send(request: HostRequest): Promise<Incoming> {
    const { scopes, signal, accept = [] } = request;
    for (let challenges = 0; ; challenges++) {
      const { url, authorization } = await this.#address(request);
      const incoming = await this.#transport.send({
        method: request.method,
        url,
        insecure: this.insecure,
        signal,
        authorization,
        ...(request.headers && { headers: request.headers }),
        ...(request.body && { body: request.body }),
      });
      const { response } = incoming;
      if (response.ok || accept.includes(response.status)) return incoming;
      if (
        response.status === 401 &&
        challenges < MOST_CHALLENGES &&
        this.authorizer.note(response, scopes, authorization)
      ) {
        incoming.end();
        continue;
      }
      throw await this.#refused(incoming, signal);
    }
  }

  /** As `send`, again and again while failures pass. For requests that may be repeated. */
  persistently(request: HostRequest): Promise<Incoming> {
    const { maxAttempts, longestWait } = this.settings;
    return persistently(() => this.send(request), { most: maxAttempts, longestWait, signal: request.signal });
  }

  /** The registry's own addresses get credentials, others that it names do not. */
  async #address({ path, scopes, signal }: HostRequest): Promise<{ url: URL; authorization: string | undefined }> {
    const url = typeof path === "string" ? new URL(this.base.pathname.replace(/\/$/, "") + path, this.base) : path;
    if (url.origin !== this.base.origin) return { url, authorization: undefined };
    return { url, authorization: await this.authorizer.header(scopes, signal) };
  }

  async #refused(incoming: Incoming, signal: AbortSignal): Promise<SlipwayError> {
    const { response, url } = incoming;
    const retryAfter = readRetryAfter(response.headers.get("retry-after"), Date.now());
    const body = await readStart(incoming, MOST_ERROR_BYTES, this.limits(signal));
    const error = refusal(`${url.origin}${url.pathname}`, response.status, body);
    return new SlipwayError(error.code, error.message, {
      ...(error.hint !== undefined && { hint: error.hint }),
      details: { ...error.details, ...(retryAfter !== undefined && { retryAfter }) },
    });
  }
}

const DOCKER_HUB = "registry-1.docker.io";
/** How long a registry's scheme is believed, milliseconds. */
const SCHEME_MS = 10 * 60_000;
const MOST_HOSTS = 64;

/** Finds the way to registries by the domains of image names, and keeps what was learned of them. */
export class RegistryHosts {
  readonly settings: RegistrySettings;
  readonly #transport: Transport;
  readonly #hosts = new Map<string, { readonly host: RegistryHost; readonly until: number }>();

  constructor(settings: RegistrySettings) {
    this.settings = settings;
    this.#transport = new Transport(settings);
  }

  isInsecure(domain: string): boolean {
    const hostname = new URL(`http://${domain}`).hostname;
    if (isLoopback(hostname)) return true;
    return this.settings.insecureRegistries.some(
      (entry) => entry === domain || (entry.includes("/") && inNetwork(hostname, entry)),
    );
  }

  /** The registry of a domain, after it has answered once. Throws `unavailable`. */
  async open(domain: string, credentials: Credentials | undefined, signal: AbortSignal): Promise<RegistryHost> {
    const name = domain === "docker.io" ? DOCKER_HUB : domain;
    const insecure = this.isInsecure(name);
    const addresses = insecure ? [`https://${name}`, `http://${name}`] : [`https://${name}`];
    return await this.#answering(addresses, { insecure, credentials: credentials ?? ANONYMOUS }, signal);
  }

  /** The mirrors of Docker Hub that are configured, in their order. They never see the user's credentials. */
  async openMirror(address: string, signal: AbortSignal): Promise<RegistryHost> {
    const insecure = this.isInsecure(new URL(address).host);
    return await this.#answering([address], { insecure, credentials: ANONYMOUS }, signal);
  }

  /** Forgets what is known of a registry: it may have moved. */
  forget(host: RegistryHost): void {
    for (const [key, entry] of this.#hosts) if (entry.host === host) this.#hosts.delete(key);
  }

  async #answering(
    addresses: readonly string[],
    options: { readonly insecure: boolean; readonly credentials: Credentials },
    signal: AbortSignal,
  ): Promise<RegistryHost> {
    const key = `${addresses.join(" ")} ${credentialKey(options.credentials)}`;
    const known = this.#hosts.get(key);
    if (known !== undefined && known.until > Date.now()) return known.host;
    let failure: unknown;
    for (const address of addresses) {
      const { settings } = this;
      const host = new RegistryHost({ ...options, base: new URL(address), transport: this.#transport, settings });
      try {
        await this.#ping(host, signal, address === addresses.at(-1));
        this.#keep(key, host);
        return host;
      } catch (error) {
        signal.throwIfAborted();
        failure ??= error;
        if (!isConnectionFailure(error)) throw error;
        // The plain address says what is really wrong when nothing listens at all.
        failure = error;
      }
    }
    throw failure;
  }

  async #ping(host: RegistryHost, signal: AbortSignal, persistent: boolean): Promise<void> {
    const { maxAttempts, longestWait } = this.settings;
    const ask = async () => {
      const request = { method: "GET", path: "/v2/", scopes: [], signal, accept: [401, 403, 404] };
      const incoming = await host.send(request).catch((error: unknown) => {
        throw atFirst(error);
      });
      if (incoming.response.status === 401) host.authorizer.note(incoming.response, [], undefined);
      incoming.end();
    };
    if (!persistent) return await ask();
    await persistently(ask, { most: maxAttempts, longestWait, signal });
  }

  #keep(key: string, host: RegistryHost): void {
    if (this.#hosts.size >= MOST_HOSTS) this.#hosts.clear();
    this.#hosts.set(key, { host, until: Date.now() + SCHEME_MS });
  }
}

/** A registry that nobody has reached yet and nobody reaches now is told of at once: its name is probably wrong. */
function atFirst(error: unknown): unknown {
  if (!(error instanceof SlipwayError) || error.details.unreachable !== true) return error;
  return new SlipwayError(error.code, error.message, { cause: error, details: { ...error.details, final: true } });
}

/** No answer at all, or none that is understood, in contrast to one that says no. */
function isConnectionFailure(error: unknown): boolean {
  return error instanceof SlipwayError && (error.details.connection === true || error.details.tls === true);
}
