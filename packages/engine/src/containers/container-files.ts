import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { type Endpoint, hostnameFile, hostResolver, hostsFile, type Networks, resolvConf } from "@slipway/network";
import type { Mount } from "@slipway/runtime";
import type { NetworkMode } from "../settings/network-mode.ts";
import type { ContainerPaths } from "./container-paths.ts";
import type { ContainerDefinition } from "./container-table.ts";

/** Hosts, host name and resolver of a container; one that shares another's network shares these files too. */
export interface EtcFiles {
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
}

export function etcFilesOf(paths: ContainerPaths, id: string): EtcFiles {
  return { hostname: paths.hostname(id), hosts: paths.hosts(id), resolvConf: paths.resolvConf(id) };
}

/** What a container's network has to say in its files. */
export interface NetworkFacts {
  readonly mode: NetworkMode;
  readonly endpoints: readonly Endpoint[];
  /** Where our resolver answers inside, if it does. */
  readonly nameserver: string | undefined;
  /** What `host-gateway` stands for; undefined without a way to the host. */
  readonly gateway: string | undefined;
  /** Lines for linked containers: `address<TAB>names`. */
  readonly linked: readonly string[];
}

/** Writes the three files. They are made anew by each start, so nobody waits for the disk. */
export function writeEtcFiles(files: EtcFiles, definition: ContainerDefinition, network: NetworkFacts): void {
  const { config, hostConfig } = definition;
  const hostname = config.Hostname ?? "";
  writeFileSync(files.hostname, hostnameFile(hostname), { mode: 0o644 });
  const hosts =
    network.mode.kind === "host"
      ? readFileSync("/etc/hosts", "utf8") + extraLines(hostConfig.ExtraHosts ?? [])
      : hostsFile({
          hostname,
          ...(config.Domainname ? { domainname: config.Domainname } : {}),
          addresses: network.endpoints.flatMap(addressesOf),
          extraHosts: hostConfig.ExtraHosts ?? [],
          ...(network.gateway === undefined ? {} : { gateway: network.gateway }),
        });
  const linked = network.linked.map((line) => `${line}\n`).join("");
  writeFileSync(files.hosts, hosts + linked, { mode: 0o644 });
  writeResolvConf(files, definition, network);
}

/** Also for a container that runs, whose first network with names came or last one went. */
export function writeResolvConf(
  files: EtcFiles,
  { hostConfig }: Pick<ContainerDefinition, "hostConfig">,
  { mode, nameserver }: Pick<NetworkFacts, "mode" | "nameserver">,
): void {
  const outside = mode.kind === "network" ? "bridge" : mode.kind === "none" ? "none" : "host";
  const resolver = resolvConf({
    mode: nameserver === undefined ? outside : "resolver",
    host: hostResolver(),
    nameservers: hostConfig.Dns ?? [],
    search: hostConfig.DnsSearch ?? [],
    options: hostConfig.DnsOptions ?? [],
  });
  writeFileSync(files.resolvConf, resolver, { mode: 0o644 });
}

/** Bytes; larger is no hosts file. */
const MOST_HOSTS = 1024 * 1024;

/**
 * Changes lines of the hosts file of a container that runs, in place: it is bound over the container's own, and what others
 * wrote into it stays. Throws `exhausted` for one that is too large, and what the file system says.
 */
export function changeHosts(
  files: EtcFiles,
  change: {
    readonly remove?: (address: string, names: readonly string[]) => boolean;
    readonly add?: readonly string[];
  },
): void {
  const { size } = statSync(files.hosts);
  // The container writes to it as it likes.
  if (size > MOST_HOSTS) throw new SlipwayError("exhausted", `a container's hosts file has ${size} bytes: left alone`);
  const lines = readFileSync(files.hosts, "utf8").replace(/\n$/, "").split("\n");
  const kept = lines.filter((line) => {
    const [address = "", ...names] = line.split(/\s+/);
    return !(change.remove?.(address, names) ?? false);
  });
  writeFileSync(files.hosts, `${[...kept, ...(change.add ?? [])].join("\n")}\n`);
}

/** The lines by which a container knows itself on a network. */
export function ownHosts({ config }: Pick<ContainerDefinition, "config">, endpoint: Endpoint): string[] {
  const hostname = config.Hostname ?? "";
  const names = config.Domainname ? `${hostname}.${config.Domainname} ${hostname}` : hostname;
  return addressesOf(endpoint).map((address) => `${address}\t${names}`);
}

function addressesOf({ address, ipv6 }: Endpoint): string[] {
  return ipv6 === undefined ? [address] : [address, ipv6.address];
}

/** The host as a container sees it: its address on the first network. */
export function hostGateway(networks: Pick<Networks, "find">, endpoints: readonly Endpoint[]): string | undefined {
  const gateway = endpoints.find((endpoint) => endpoint.gateway !== "")?.gateway;
  if (gateway !== undefined) return gateway;
  // An internal network leads nowhere, but the host has an address on it.
  const [first] = endpoints;
  return first === undefined ? undefined : networks.find(first.networkId)?.gateway;
}

/** On the host's network `host-gateway` is the host itself. */
function extraLines(extraHosts: readonly string[]): string {
  if (extraHosts.length === 0) return "";
  const text = hostsFile({ hostname: "", addresses: [], extraHosts, gateway: "127.0.0.1" });
  return `${text.split("\n").slice(6).join("\n")}`;
}

/** Binds the files over those of the image, except where the user mounts something of their own. */
export function etcMounts(files: EtcFiles, taken: ReadonlySet<string>, readOnly: boolean): Mount[] {
  const places: readonly (readonly [source: string, target: string])[] = [
    [files.resolvConf, "/etc/resolv.conf"],
    [files.hostname, "/etc/hostname"],
    [files.hosts, "/etc/hosts"],
  ];
  return places
    .filter(([, target]) => !taken.has(target))
    .map(([source, target]) => ({
      type: "bind",
      source,
      target,
      options: ["rbind", "rprivate", readOnly ? "ro" : "rw"],
    }));
}

export function makeBundle(paths: ContainerPaths, id: string): void {
  mkdirSync(paths.bundle(id), { recursive: true, mode: 0o700 });
  mkdirSync(paths.home(id), { recursive: true, mode: 0o700 });
}
