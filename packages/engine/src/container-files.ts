import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Endpoint, hostnameFile, hostResolver, hostsFile, resolvConf } from "@slipway/network";
import type { Mount } from "@slipway/runtime";
import type { ContainerPaths } from "./container-paths.ts";
import type { ContainerDefinition } from "./container-table.ts";
import type { NetworkMode } from "./network-mode.ts";

/** Hosts, host name and resolver of a container; one that shares another's network shares these files too. */
export interface EtcFiles {
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
}

export function etcFilesOf(paths: ContainerPaths, id: string): EtcFiles {
  return { hostname: paths.hostname(id), hosts: paths.hosts(id), resolvConf: paths.resolvConf(id) };
}

/** Writes the three files into the bundle. They are made anew by each start, so nobody waits for the disk. */
export function writeEtcFiles(
  files: EtcFiles,
  definition: ContainerDefinition,
  network: { readonly mode: NetworkMode; readonly endpoints: readonly Endpoint[] },
): void {
  const { config, hostConfig } = definition;
  const hostname = config.Hostname ?? "";
  const [endpoint] = network.endpoints;
  writeFileSync(files.hostname, hostnameFile(hostname), { mode: 0o644 });
  const hosts =
    network.mode.kind === "host"
      ? readFileSync("/etc/hosts", "utf8") + extraLines(hostConfig.ExtraHosts ?? [])
      : hostsFile({
          hostname,
          ...(config.Domainname ? { domainname: config.Domainname } : {}),
          addresses: network.endpoints.map(({ address }) => address),
          extraHosts: hostConfig.ExtraHosts ?? [],
          ...(endpoint === undefined ? {} : { gateway: endpoint.gateway }),
        });
  writeFileSync(files.hosts, hosts, { mode: 0o644 });
  const resolver = resolvConf({
    mode: network.mode.kind === "network" ? "bridge" : network.mode.kind === "none" ? "none" : "host",
    host: hostResolver(),
    nameservers: hostConfig.Dns ?? [],
    search: hostConfig.DnsSearch ?? [],
    options: hostConfig.DnsOptions ?? [],
  });
  writeFileSync(files.resolvConf, resolver, { mode: 0o644 });
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
