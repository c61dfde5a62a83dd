/** How registries are reached: the daemon's configuration, with Docker's names and defaults. */
export interface RegistrySettings {
  /** Hosts (`host[:port]`) and networks (CIDR) that may be reached without TLS, or with certificates nobody vouches for. */
  readonly insecureRegistries: readonly string[];
  /** Base addresses that are asked before Docker Hub. */
  readonly mirrors: readonly string[];
  /** `<host>/{ca.crt,*.crt,*.cert,*.key}` below it, as Docker's `/etc/docker/certs.d`. */
  readonly certificates: string;
  readonly maxDownloads: number;
  readonly maxUploads: number;
  /** Attempts of one transfer that bring nothing. */
  readonly maxAttempts: number;
  /** Milliseconds without a byte worth mentioning after which a connection counts as dead. */
  readonly stallTimeout: number;
  /** Milliseconds for an answer to begin. */
  readonly answerTimeout: number;
  /** Milliseconds after which a large blob that comes slowly is fetched over several connections. */
  readonly rangesAfter: number;
  /** Longest `Retry-After` that is waited for, milliseconds. */
  readonly longestWait: number;
  readonly proxies: ProxySettings;
  readonly userAgent: string;
}

export interface ProxySettings {
  readonly http?: string;
  readonly https?: string;
  /** As curl and Go read it: hosts, `.domains`, CIDR networks, `*`. */
  readonly none?: string;
}

export const DEFAULT_SETTINGS: RegistrySettings = {
  insecureRegistries: [],
  mirrors: [],
  certificates: "/etc/docker/certs.d",
  maxDownloads: 3,
  maxUploads: 5,
  maxAttempts: 5,
  stallTimeout: 30_000,
  answerTimeout: 60_000,
  rangesAfter: 1000,
  longestWait: 60_000,
  proxies: {},
  userAgent: "slipway",
};

/** The proxies that the environment names, in either case. */
export function proxiesOf(env: Readonly<Record<string, string | undefined>>): ProxySettings {
  const pick = (name: string) => env[name.toUpperCase()] || env[name] || undefined;
  const http = pick("http_proxy");
  const https = pick("https_proxy");
  const none = pick("no_proxy");
  return { ...(http && { http }), ...(https && { https }), ...(none && { none }) };
}
