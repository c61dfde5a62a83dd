import { ApiError, ConnectionError } from "../errors.ts";
import { type Host, hostText, type TlsFiles } from "./host.ts";

/** The newest version of the API whose documents this client reads. An older engine is asked in its own. */
export const API_VERSION = "1.50";

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: ReadableStream<Uint8Array> | Uint8Array | Bun.BunFile;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface ClientOptions {
  readonly host: Host;
  /** Fixed by `DOCKER_API_VERSION`; nothing is negotiated then. */
  readonly apiVersion?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called when nobody listens at the host; resolves true once somebody does. */
  readonly startEngine?: () => Promise<boolean>;
}

/** Speaks the Docker Engine API. Throws `ApiError` for refusals and `ConnectionError` when nobody answers. */
export class EngineClient {
  readonly host: Host;
  readonly #options: ClientOptions;
  #version: string;
  #negotiated: boolean;

  constructor(options: ClientOptions) {
    this.host = options.host;
    this.#options = options;
    this.#version = options.apiVersion ?? API_VERSION;
    this.#negotiated = options.apiVersion !== undefined;
  }

  /** Sent with each request. */
  get headers(): Readonly<Record<string, string>> {
    return { ...this.#options.headers, "User-Agent": "slipway" };
  }

  /** The version in use; the engine's own when it is older than ours, once a request has been answered. */
  get apiVersion(): string {
    return this.#version;
  }

  /** Requests and parses JSON. The caller names the document's shape; all of its fields are optional to read. */
  async json<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.request(method, path, options);
    const text = await response.text();
    try {
      return JSON.parse(text === "" ? "null" : text) as T;
    } catch {
      throw new ApiError(502, `the answer to ${method} ${path} is not JSON: ${text.slice(0, 200)}`);
    }
  }

  /** Requests and expects no document. */
  async send(method: string, path: string, options: RequestOptions = {}): Promise<void> {
    const response = await this.request(method, path, options);
    await response.arrayBuffer();
  }

  /** Requests; the body is the caller's. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    // A stream can be sent once only: find out beforehand what the engine speaks and that it is there.
    if (options.body instanceof ReadableStream) await this.negotiate();
    const response = await this.#fetch(method, path, options);
    if (response.status < 400) {
      this.#negotiated = true;
      return response;
    }
    const { reason, hint } = await refusalOf(response);
    const older = /client version \S+ is too new\. Maximum supported API version is (\d+\.\d+)/.exec(reason)?.[1];
    if (older !== undefined && !this.#negotiated) {
      this.#version = older;
      this.#negotiated = true;
      return await this.request(method, path, options);
    }
    throw new ApiError(response.status, reason, hint);
  }

  /** `METHOD /vX.Y/path?query` as it stands in the request line. */
  target(path: string, query: Query = {}): string {
    const base = this.host.kind === "tcp" ? this.host.base : "";
    return `${base}/v${this.#version}${path}${queryText(query)}`;
  }

  /** Asks for the engine's version of the API, and starts the engine if nobody listens. */
  async negotiate(): Promise<void> {
    if (this.#negotiated) return;
    const response = await this.ping();
    const theirs = response.headers.get("api-version");
    if (theirs !== null && isOlder(theirs, this.#version)) this.#version = theirs;
    this.#negotiated = true;
  }

  async ping(signal?: AbortSignal): Promise<Response> {
    const base = this.host.kind === "tcp" ? this.host.base : "";
    return await this.#connect(`${base}/_ping`, {
      method: "GET",
      headers: this.headers,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #fetch(method: string, path: string, options: RequestOptions): Promise<Response> {
    const headers: Record<string, string> = { ...this.headers, ...options.headers };
    const init: RequestInit = { method, headers };
    if (options.json !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(options.json);
    } else if (options.body !== undefined) {
      init.body = options.body;
    }
    if (options.signal !== undefined) init.signal = options.signal;
    return await this.#connect(this.target(path, options.query), init);
  }

  async #connect(target: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(this.#url(target), { ...init, ...this.#transport() });
    } catch (error) {
      if (!isRefused(error)) throw connectionError(this.host, error);
      if (this.#options.startEngine === undefined || !(await this.#options.startEngine()))
        throw connectionError(this.host, error);
      return await fetch(this.#url(target), { ...init, ...this.#transport() });
    }
  }

  #url(target: string): string {
    if (this.host.kind === "unix") return `http://engine${target}`;
    return `${this.host.tls === undefined ? "http" : "https"}://${this.host.hostname}:${this.host.port}${target}`;
  }

  #transport(): BunFetchRequestInit {
    // No time limit: `wait`, `logs -f` and `events` may be silent for days.
    if (this.host.kind === "unix") return { unix: this.host.path, timeout: false } as BunFetchRequestInit;
    const tls = this.host.tls;
    if (tls === undefined) return { timeout: false } as BunFetchRequestInit;
    return { tls: tlsOptions(tls), timeout: false } as BunFetchRequestInit;
  }
}

/** What Bun wants to know of the certificates; files are read when the connection is made. */
export function tlsOptions(tls: TlsFiles): Bun.TLSOptions {
  return {
    rejectUnauthorized: tls.verify,
    ...(tls.ca === undefined ? {} : { ca: Bun.file(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: Bun.file(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: Bun.file(tls.key) }),
  };
}

function queryText(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue;
    for (const element of Array.isArray(value) ? (value as string[]) : [value]) {
      parameters.append(name, element === true ? "1" : String(element));
    }
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

async function refusalOf(response: Response): Promise<{ reason: string; hint?: string }> {
  return readRefusal((await response.text()).trim(), `${response.status} ${response.statusText}`);
}

/** The engine's words from the body of a refusal; not every proxy on the way answers with Docker's JSON. */
export function readRefusal(text: string, otherwise: string): { reason: string; hint?: string } {
  try {
    const { message, hint } = JSON.parse(text) as { message?: unknown; hint?: unknown };
    if (typeof message === "string" && typeof hint === "string") {
      // For other clients the message may have the hint, too.
      return { reason: message.replace(`\n${hint}`, "").trim(), hint };
    }
    if (typeof message === "string") return { reason: message.trim() };
  } catch {
    // Fall through to the text.
  }
  return { reason: text === "" ? otherwise : text.slice(0, 1000) };
}

export function isRefused(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ECONNREFUSED" || code === "ENOENT" || code === "FailedToOpenSocket";
}

export function connectionError(host: Host, error: unknown): unknown {
  if (error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError")) return error;
  const said = host.kind === "unix" ? host.tunnel?.failure() : undefined;
  if (said !== undefined) {
    return new ConnectionError(
      `error during connect: ${hostText(host)}: ${said}`,
      "Try it by hand with ssh: the engine's program must be installed there, and a key or an agent must let you in.",
    );
  }
  const code = (error as { code?: unknown }).code;
  if (code === "EACCES" || code === "EPERM") {
    return new ConnectionError(
      `permission denied while trying to connect to the Docker daemon socket at ${hostText(host)}`,
      "Run it as root, or as a member of the group that owns the socket.",
    );
  }
  if (isRefused(error)) {
    return new ConnectionError(
      `Cannot connect to the Docker daemon at ${hostText(host)}. Is the docker daemon running?`,
      host.kind === "unix" ? "Start one, as root: slipway daemon" : undefined,
    );
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new ConnectionError(`error during connect: ${hostText(host)}: ${reason}`);
}

function isOlder(a: string, b: string): boolean {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA < majorB || (majorA === majorB && minorA < minorB);
}
