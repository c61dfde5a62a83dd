import { readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { RESOLVER_ADDRESS } from "./dns/dns-redirect.ts";

export interface HostsFileInput {
  readonly hostname: string;
  readonly domainname?: string;
  /** The container's own addresses; none for a container without a network. */
  readonly addresses: readonly string[];
  /** Docker's `--add-host`: `name:address`, `name=address`, `name:host-gateway`. */
  readonly extraHosts?: readonly string[];
  /** What `host-gateway` stands for. */
  readonly gateway?: string;
}

/** Content of a container's `/etc/hosts`. Throws `invalid` for an extra host that is none. */
export function hostsFile(input: HostsFileInput): string {
  const lines = [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
  ];
  for (const entry of input.extraHosts ?? []) lines.push(extraHost(entry, input.gateway));
  const names = input.domainname ? `${input.hostname}.${input.domainname} ${input.hostname}` : input.hostname;
  for (const address of input.addresses) lines.push(`${address}\t${names}`);
  return `${lines.join("\n")}\n`;
}

function extraHost(entry: string, gateway: string | undefined): string {
  const match = /^([A-Za-z0-9._-]+)[:=](.+)$/.exec(entry);
  const [, name, place] = match ?? [];
  const address = place === "host-gateway" ? gateway : place?.replace(/^\[(.*)\]$/, "$1");
  if (name === undefined || address === undefined || !/^[0-9A-Fa-f.:]+$/.test(address)) {
    throw new SlipwayError("invalid", `invalid extra host '${entry}'`, {
      hint:
        place === "host-gateway"
          ? "This container's network has no gateway to the host."
          : "Write it as name:address, or name:host-gateway for this host.",
    });
  }
  return `${address}\t${name}`;
}

/** Content of a container's `/etc/hostname`. */
export function hostnameFile(hostname: string): string {
  return `${hostname}\n`;
}

export interface ResolverSettings {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

export interface ResolverInput {
  /**
   * `host` shares the host's network, `bridge` has its own, where the host's loopback is out of reach, `none` has no network,
   * `resolver` has our own resolver (`Sandbox.nameserver`), which asks the name servers itself.
   */
  readonly mode: "host" | "bridge" | "none" | "resolver";
  /** The host's settings, from `hostResolver()`. */
  readonly host: ResolverSettings;
  /** `--dns`, `--dns-search`, `--dns-option`: each replaces the host's if it has any; a search of `.` means none at all. */
  readonly nameservers?: readonly string[];
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** What Docker falls back to, when a host's only name servers are on its loopback. */
const PUBLIC_NAMESERVERS = ["8.8.8.8", "8.8.4.4"] as const;

/** Content of a container's `/etc/resolv.conf`. */
export function resolvConf(input: ResolverInput): string {
  const nameservers = input.mode === "resolver" ? [RESOLVER_ADDRESS] : (chosen(input.nameservers) ?? reachable(input));
  const search = (chosen(input.search) ?? input.host.search).filter((each) => each !== ".");
  const options = resolverOptions(input);
  const lines = nameservers.map((each) => `nameserver ${each}`);
  if (search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** Names without dots are asked for as they are first: containers have such names. */
function resolverOptions({ mode, options, host }: ResolverInput): readonly string[] {
  const list = chosen(options) ?? host.options;
  if (mode !== "resolver" || list.some((each) => each.startsWith("ndots:"))) return list;
  return [...list, "ndots:0"];
}

function chosen(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

function reachable({ mode, host }: ResolverInput): readonly string[] {
  if (mode !== "bridge") return host.nameservers;
  // Our bridges speak IPv4: a server with an IPv6 address only makes every question wait for its time to be up.
  const list = host.nameservers.filter((each) => !isLoopback(each) && !each.includes(":"));
  return list.length > 0 ? list : PUBLIC_NAMESERVERS;
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** The host's resolver settings. systemd-resolved's stub is replaced by the file with the servers that it asks. */
export function hostResolver(read: (path: string) => string | undefined = readIfThere): ResolverSettings {
  const settings = parseResolvConf(read("/etc/resolv.conf") ?? "");
  const isStub = settings.nameservers.length > 0 && settings.nameservers.every((each) => each === "127.0.0.53");
  const real = isStub ? read("/run/systemd/resolve/resolv.conf") : undefined;
  return real === undefined ? settings : parseResolvConf(real);
}

/** resolv.conf(5): the last `search` or `domain` counts, options add up. */
export function parseResolvConf(text: string): ResolverSettings {
  const nameservers: string[] = [];
  const options: string[] = [];
  let search: string[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && values[0] !== undefined) nameservers.push(values[0]);
    else if (keyword === "search" || keyword === "domain") search = values;
    else if (keyword === "options") options.push(...values);
  }
  return { nameservers, search, options };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
