import { isIP } from "node:net";
import { didYouMean, SlipwayError } from "@slipway/base";
import type { NetworkInfo, Networks } from "@slipway/network";
import type { EndpointSettings, HostConfig } from "../faces.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";

/** Characters of a network's name. */
const LONGEST_NAME = 255;

type Catalog = Pick<Networks, "find" | "list">;
export type Attachments = Readonly<Record<string, EndpointSettings>>;

/** A network by name, ID or unique beginning of an ID. Throws `not-found` with the nearest name. */
export function networkNamed(networks: Catalog, nameOrId: string): NetworkInfo {
  const network = networks.find(nameOrId);
  if (network !== undefined) return network;
  const names = networks.list().map(({ name }) => name);
  throw new SlipwayError("not-found", `network ${nameOrId} not found`, didYouMean(nameOrId, names));
}

/**
 * The networks that a new container joins, by name, that of its mode first. As with Docker, a mode that names no network of
 * the user's own yields to the networks that were asked for by name, and a network may be made later than the container:
 * its start is what needs it (`settleAttachments`). Throws `not-found` for what can never be a network, and `invalid`.
 */
export function decideAttachments(networks: Catalog, hostConfig: HostConfig, asked: Attachments): Attachments {
  const text = hostConfig.NetworkMode ?? "";
  const mode = parseNetworkMode(text);
  if (mode.kind !== "network") {
    const others = Object.keys(asked).filter((name) => name !== text && name !== "default");
    if (others.length > 0) throw refusal(mode.kind);
    for (const settings of Object.values(asked)) checkSettings(text, settings);
    return {};
  }
  const main = networkOrLater(networks, mode.name);
  const decided = new Map<string, EndpointSettings>();
  for (const [name, settings] of Object.entries(asked)) {
    const network = name === "default" ? main : networkOrLater(networks, name);
    if (network.predefined && network.driver !== "bridge") throw refusal(network.name === "none" ? "none" : "host");
    checkSettings(network.name, settings);
    decided.set(network.name, { ...decided.get(network.name), ...settings });
  }
  const isMeant = !main.predefined || decided.size === 0 || decided.has(main.name);
  const first = isMeant ? [[main.name, decided.get(main.name) ?? {}] as const] : [];
  return Object.fromEntries([...first, ...[...decided].filter(([name]) => name !== main.name)]);
}

interface Wanted {
  readonly name: string;
  readonly predefined: boolean;
  readonly driver?: string;
}

/** What is there, or the name of what may be there when the container starts. */
function networkOrLater(networks: Catalog, nameOrId: string): Wanted {
  const mayCome = nameOrId.length <= LONGEST_NAME && !/[/\p{Cc}]/u.test(nameOrId);
  return (
    networks.find(nameOrId) ?? (mayCome ? { name: nameOrId, predefined: false } : networkNamed(networks, nameOrId))
  );
}

/** The same by the names that the networks have now; undefined if nothing changes. Throws `not-found` for what is missing. */
export function settleAttachments(networks: Catalog, attachments: Attachments): Attachments | undefined {
  const names = Object.keys(attachments).map((name) => networkNamed(networks, name).name);
  if (names.every((name) => attachments[name] !== undefined)) return undefined;
  return Object.fromEntries(Object.values(attachments).map((settings, place) => [names[place] ?? "", settings]));
}

/** Why a container that has no networks of its own, or all of the host's, cannot join one. */
export function refusal(kind: "host" | "none" | "container"): SlipwayError {
  switch (kind) {
    case "host":
      return new SlipwayError(
        "invalid",
        "container cannot be disconnected from host network or connected to host network",
      );
    case "none":
      return new SlipwayError(
        "invalid",
        "container cannot be connected to multiple networks with one of the networks in private (none) mode",
      );
    case "container":
      return new SlipwayError(
        "invalid",
        "container sharing network namespace with another container or host cannot be connected to any other network",
      );
  }
}

/** Throws `invalid`, in Docker's words, naming all that is wrong. */
export function checkSettings(network: string, settings: EndpointSettings): void {
  const isOwn = parseNetworkMode(network).kind === "network" && network !== "bridge" && network !== "default";
  const complaints: string[] = [];
  if (!isOwn && (settings.ipv4 || settings.ipv6)) {
    complaints.push("user specified IP address is supported on user defined networks only");
  }
  if (!isOwn && (settings.aliases ?? []).length > 0) {
    complaints.push("network-scoped alias is supported only for containers in user defined networks");
  }
  if (settings.ipv4 && isIP(settings.ipv4) !== 4) complaints.push(`invalid IPv4 address: ${settings.ipv4}`);
  if (settings.ipv6 && isIP(settings.ipv6) !== 6) complaints.push(`invalid IPv6 address: ${settings.ipv6}`);
  for (const address of settings.linkLocal ?? []) {
    if (isIP(address) === 0) complaints.push(`invalid link-local IP address: ${address}`);
  }
  for (const name of settings.aliases ?? []) {
    if (name === "" || name.length > 255 || /[\s\0/]/.test(name)) {
      complaints.push(`invalid alias ${JSON.stringify(name.slice(0, 64))}`);
    }
  }
  if (!Number.isSafeInteger(settings.gatewayPriority ?? 0)) complaints.push("the gateway priority is not an integer");
  if (complaints.length === 1) throw new SlipwayError("invalid", complaints[0] ?? "");
  if (complaints.length > 1) {
    throw new SlipwayError("invalid", `invalid endpoint settings:\n${complaints.join("\n")}`);
  }
}

/** What others on a network find a container by. */
export function namesOn(
  container: { readonly name: string; readonly definition: { readonly config: { readonly Hostname?: string } } },
  settings: EndpointSettings,
): string[] {
  const { Hostname: hostname } = container.definition.config;
  return [...new Set([container.name, ...(settings.aliases ?? []), ...(hostname ? [hostname] : [])])];
}
