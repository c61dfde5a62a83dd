import { createHash } from "node:crypto";
import { shortId } from "@slipway/base";
import type { Endpoint, Networks } from "@slipway/network";
import type { ContainerEntry } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import type { ContainerEndpoint, EndpointSettings } from "../faces.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { namesOn } from "./attachments.ts";

/** The networks of a container: those it is on while it runs, else those that its next start joins. */
export function endpointsOf(
  context: { readonly networks: Pick<Networks, "find"> },
  entry: ContainerEntry,
): ContainerEndpoint[] {
  const { attachments, hostConfig } = entry.definition;
  const mode = parseNetworkMode(hostConfig.NetworkMode ?? "");
  if (mode.kind === "container") return [];
  // After the end its network is released while nobody waits: it has none from the moment that it ended.
  const endpoints = isAlive(entry.state.status) ? entry.endpoints : [];
  const wasStarted = entry.state.startedAt !== undefined;
  const all = mode.kind === "network" ? Object.entries(attachments) : [[mode.kind, {}] as const];
  return all.map(([name, settings]) => {
    const live = endpoints.find(({ networkName }) => networkName === name);
    const networkId = live?.networkId ?? (wasStarted ? (context.networks.find(name)?.id ?? "") : "");
    const bare = mode.kind !== "network" && isAlive(entry.state.status) ? bareEndpointId(entry.id, networkId) : "";
    return {
      networkName: name,
      networkId,
      ...facts(live, settings),
      endpointId: live?.id ?? bare,
      settings,
      dnsNames: mode.kind === "network" && name !== "bridge" ? dnsNames(entry, settings) : [],
    };
  });
}

function facts(live: Endpoint | undefined, settings: EndpointSettings) {
  return {
    address: live?.address ?? "",
    prefixLength: live?.prefixLength ?? 0,
    gateway: live?.gateway ?? "",
    ...(live?.ipv6 === undefined ? {} : { ipv6: live.ipv6 }),
    macAddress: live?.macAddress ?? settings.mac ?? "",
  };
}

/** On the networks `host` and `none` nothing is made; clients expect a name for it nevertheless, the same all the time. */
function bareEndpointId(containerId: string, networkId: string): string {
  return createHash("sha256").update(`${containerId} ${networkId}`).digest("hex");
}

/** In Docker's order: name, aliases, short ID, host name. */
function dnsNames(entry: ContainerEntry, settings: EndpointSettings): string[] {
  const [name = "", ...rest] = namesOn(entry, settings);
  const aliases = settings.aliases ?? [];
  return [...new Set([name, ...aliases, shortId(entry.id), ...rest])];
}
