import { errorMessage, SlipwayError } from "@slipway/base";
import { type HostCertificates, readCertificates } from "./certificates.ts";
import { isLoopback } from "./networks.ts";
import { proxyFor } from "./proxy.ts";
import type { RegistrySettings } from "./settings.ts";

export type RequestBody = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

export interface Outgoing {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent only to the origin of `url`: never to where a redirect leads. */
  readonly authorization?: string | undefined;
  /** Made anew for each address that the request is sent to. */
  readonly body?: () => RequestBody;
  readonly signal: AbortSignal;
  /** Certificates of this host need no authority. */
  readonly insecure: boolean;
}

/** An answer whose body is still to be read. `end` gives the connection up; it must be called unless the body was read. */
export interface Incoming {
  readonly response: Response;
  readonly url: URL;
  end(): void;
}

const MOST_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Sends requests: redirects, proxies, certificates and time limits. It knows nothing of registries. */
export class Transport {
  readonly #settings: RegistrySettings;
  readonly #certificates = new Map<string, { readonly read: HostCertificates; readonly until: number }>();

  constructor(settings: RegistrySettings) {
    this.#settings = settings;
  }

  /** Throws `unavailable` when there is no answer, `invalid` when redirects lead nowhere. */
  async send(outgoing: Outgoing): Promise<Incoming> {
    let { url } = outgoing;
    let { method } = outgoing;
    for (let hops = 0; ; hops++) {
      const sameOrigin = url.origin === outgoing.url.origin;
      const incoming = await this.#once({
        ...outgoing,
        method,
        url,
        authorization: sameOrigin ? outgoing.authorization : undefined,
      });
      const { status, headers } = incoming.response;
      const location = headers.get("location");
      if (!REDIRECTS.has(status) || location === null) return incoming;
      incoming.end();
      if (hops >= MOST_REDIRECTS) {
        throw new SlipwayError("invalid", `${outgoing.url.host} redirects more than ${MOST_REDIRECTS} times`);
      }
      const next = redirected(url, location);
      if (url.protocol === "https:" && next.protocol === "http:" && !outgoing.insecure && !isLoopback(next.hostname)) {
        throw new SlipwayError("forbidden", `${url.host} redirects to ${next.host} without TLS`, {
          hint: "Ask the registry's operator, or allow it with insecure-registries.",
        });
      }
      if (status === 303 && method !== "HEAD") method = "GET";
      url = next;
    }
  }

  async #once({ method, url, headers, authorization, body, signal, insecure }: Outgoing): Promise<Incoming> {
    signal.throwIfAborted();
    const { userAgent, answerTimeout, proxies } = this.#settings;
    const stop = new AbortController();
    const abandon = () => stop.abort(signal.reason);
    signal.addEventListener("abort", abandon, { once: true });
    const detach = () => signal.removeEventListener("abort", abandon);
    const late = new SlipwayError("unavailable", `${named(method, url)}: no answer within ${answerTimeout / 1000} s`);
    // A body takes as long as it takes; whoever sends it watches over it.
    const timer = body === undefined ? setTimeout(() => stop.abort(late), answerTimeout) : undefined;
    const proxy = proxyFor(url, proxies);
    try {
      const response = await fetch(url, {
        method,
        redirect: "manual",
        decompress: false,
        headers: {
          "User-Agent": userAgent,
          ...headers,
          ...(authorization !== undefined && { Authorization: authorization }),
        },
        ...(body !== undefined && method !== "GET" && { body: body() }),
        signal: stop.signal,
        ...(proxy !== undefined && { proxy }),
        ...(url.protocol === "https:" && { tls: this.#tls(url, insecure) }),
      });
      return {
        response,
        url,
        end: () => {
          detach();
          if (!response.bodyUsed) void response.body?.cancel().catch(() => {});
          stop.abort(ENDED);
        },
      };
    } catch (error) {
      detach();
      signal.throwIfAborted();
      if (error instanceof SlipwayError) throw error;
      throw connectionError(error, method, url);
    } finally {
      clearTimeout(timer);
    }
  }

  #tls(url: URL, insecure: boolean): Record<string, unknown> {
    const { ca, cert, key } = this.#certificatesOf(url.host);
    return {
      rejectUnauthorized: !insecure,
      ...(ca !== undefined && { ca: [...ca] }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    };
  }

  /** Read anew now and then: certificates are renewed while the daemon runs. */
  #certificatesOf(host: string): HostCertificates {
    const known = this.#certificates.get(host);
    if (known !== undefined && known.until > Date.now()) return known.read;
    const read = readCertificates(this.#settings.certificates, host);
    this.#certificates.set(host, { read, until: Date.now() + CERTIFICATES_MS });
    return read;
  }
}

const CERTIFICATES_MS = 10_000;
const ENDED = new SlipwayError("cancelled", "the answer is not needed any more");

function redirected(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href))
    throw new SlipwayError("invalid", `${from.host} redirects to what is no address`);
  const next = new URL(location, from);
  if (next.protocol !== "http:" && next.protocol !== "https:") {
    throw new SlipwayError("invalid", `${from.host} redirects to the scheme '${next.protocol}'`);
  }
  // Names and passwords in an address would be sent as credentials.
  next.username = "";
  next.password = "";
  return next;
}

/** `Get "https://host/v2/"`, as Go programs say it, without the query, which may hold a signature. */
export function named(method: string, url: URL): string {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return `${verb} "${url.origin}${url.pathname}"`;
}

const CERTIFICATE_ERRORS =
  /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ERR_TLS_CERT_ALTNAME|certificate|DEPTH_ZERO/i;

function connectionError(error: unknown, method: string, url: URL): SlipwayError {
  const code = String((error as { code?: unknown }).code ?? "");
  const what = named(method, url);
  if (CERTIFICATE_ERRORS.test(code)) {
    return new SlipwayError("unavailable", `${what}: tls: failed to verify certificate: ${reason(error, code)}`, {
      hint: `Put the authority's certificate at /etc/docker/certs.d/${url.host}/ca.crt, or name the host in insecure-registries.`,
      details: { final: true, tls: true },
      cause: error,
    });
  }
  const unreachable = UNREACHABLE.has(code);
  return new SlipwayError("unavailable", `${what}: ${dialled(url, code)}${reason(error, code)}`, {
    cause: error,
    details: { connection: true, unreachable },
  });
}

/** Whom nobody answered, as Go programs say it, and Docker's users look for it. */
function dialled({ hostname, protocol, port }: URL, code: string): string {
  if (code === "ENOTFOUND") return `dial tcp: lookup ${hostname}: `;
  if (code !== "ConnectionRefused" && code !== "ECONNREFUSED") return "";
  const host = hostname === "localhost" ? "127.0.0.1" : hostname;
  return `dial tcp ${host}:${port || (protocol === "https:" ? 443 : 80)}: connect: `;
}

/** Nobody is there at all. */
const UNREACHABLE = new Set(["ConnectionRefused", "ECONNREFUSED", "FailedToOpenSocket", "ENOTFOUND"]);

const REASONS: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ECONNREFUSED: "connection refused",
  FailedToOpenSocket: "no such host, or it cannot be reached",
  ENOTFOUND: "no such host",
  ConnectionClosed: "the connection broke off",
  ECONNRESET: "the connection broke off",
  DEPTH_ZERO_SELF_SIGNED_CERT: "x509: certificate signed by unknown authority",
  SELF_SIGNED_CERT_IN_CHAIN: "x509: certificate signed by unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "x509: certificate signed by unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "x509: certificate signed by unknown authority",
  CERT_HAS_EXPIRED: "x509: certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "x509: certificate is valid for other names",
};

function reason(error: unknown, code: string): string {
  return REASONS[code] ?? (errorMessage(error) || code);
}
