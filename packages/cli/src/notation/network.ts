import { splitCsv } from "../grammar/values.ts";
import { splitPair } from "./environment.ts";

interface NetworkFlags {
  readonly network: readonly string[];
  readonly net: readonly string[];
  readonly "network-alias": readonly string[];
  readonly "net-alias": readonly string[];
  readonly ip: string;
  readonly ip6: string;
  readonly link: readonly string[];
  readonly "link-local-ip": readonly string[];
  readonly "mac-address": string;
}

interface Endpoint {
  Aliases?: string[];
  Links?: string[];
  DriverOpts?: Record<string, string>;
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] };
  MacAddress?: string;
  GwPriority?: number;
}

export interface Attachment {
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** The network that the container starts in: the first one, or the engine's default. */
export function networkMode(flags: NetworkFlags): string {
  const [first] = given(flags);
  return first?.name ?? "";
}

/**
 * Settings of each network that has any, and of every network if there are several. The flags without a network's name are
 * about the first one. Throws an `Error` worded as Docker does.
 */
export function endpointsOf(flags: NetworkFlags): Record<string, Endpoint> {
  const asked = given(flags);
  const [first = { name: "default", endpoint: {} }, ...others] = asked;
  const all = [withGeneral(first, flags), ...others];
  const names = all.map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index) throw new Error(`network ${JSON.stringify(name)} is specified multiple times`);
  }
  for (const attachment of all) check(attachment);
  if (names.some(isOwn) && !names.every(isOwn)) {
    throw new Error("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
  }
  const told = all.length > 1 ? all : all.filter(({ endpoint }) => Object.keys(endpoint).length > 0);
  return Object.fromEntries(told.map(({ name, endpoint }) => [name, endpoint]));
}

/** Links on the default network, which the engine writes into the hosts file; on others they belong to the endpoint. */
export function defaultLinks(flags: NetworkFlags): string[] {
  const mode = networkMode(flags);
  return mode !== "" && isOwn(mode) ? [] : flags.link.map(linkText);
}

function given(flags: NetworkFlags): Attachment[] {
  return [...flags.network, ...flags.net].map(parseNetwork);
}

/** Whether a network is of the user's own making, and so has names and addresses to choose. */
function isOwn(name: string): boolean {
  return !["default", "bridge", "host", "none"].includes(name) && !name.startsWith("container:");
}

function withGeneral({ name, endpoint }: Attachment, flags: NetworkFlags): Attachment {
  const aliases = [...flags["network-alias"], ...flags["net-alias"]];
  const links = isOwn(name) ? flags.link.map(linkText) : [];
  const own = endpoint.IPAMConfig ?? {};
  const both: readonly (readonly [unknown, boolean, string])[] = [
    [endpoint.Aliases, aliases.length > 0, "--network-alias and per-network alias"],
    [own.IPv4Address, flags.ip !== "", "--ip and per-network IPv4 address"],
    [own.IPv6Address, flags.ip6 !== "", "--ip6 and per-network IPv6 address"],
    [endpoint.MacAddress, flags["mac-address"] !== "", "--mac-address and per-network MAC address"],
    [own.LinkLocalIPs, flags["link-local-ip"].length > 0, "--link-local-ip and per-network link-local IP addresses"],
  ];
  for (const [inside, outside, what] of both) {
    if (inside !== undefined && outside) throw new Error(`conflicting options: cannot specify both ${what}`);
  }
  const addresses = {
    ...own,
    ...(flags.ip === "" ? {} : { IPv4Address: flags.ip }),
    ...(flags.ip6 === "" ? {} : { IPv6Address: flags.ip6 }),
    ...(flags["link-local-ip"].length === 0 ? {} : { LinkLocalIPs: [...flags["link-local-ip"]] }),
  };
  return {
    name,
    endpoint: {
      ...endpoint,
      ...(aliases.length === 0 ? {} : { Aliases: aliases }),
      ...(links.length === 0 ? {} : { Links: links }),
      ...(Object.keys(addresses).length === 0 ? {} : { IPAMConfig: addresses }),
      ...(flags["mac-address"] === "" ? {} : { MacAddress: flags["mac-address"] }),
    },
  };
}

function check({ name, endpoint }: Attachment): void {
  if (name.trim() === "") throw new Error("no name set for network");
  if (!isOwn(name) && endpoint.Aliases !== undefined) {
    throw new Error("network-scoped aliases are only supported for user-defined networks");
  }
  const mac = endpoint.MacAddress;
  if (mac !== undefined && !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(mac)) {
    throw new Error(`${mac} is not a valid mac address`);
  }
}

/** `container:alias`; a name alone is its own alias. Throws an `Error`. */
export function linkText(text: string): string {
  const [container = "", alias = container, ...rest] = text.split(":");
  if (text === "") throw new Error("empty string specified for links");
  if (rest.length > 0) throw new Error(`bad format for links: ${text}`);
  return `${container}:${alias}`;
}

/** Options of a driver, `key=value` each. Throws an `Error`. */
export function driverOptions(values: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    values.map((text) => driverOption(text, "invalid key/value pair format in driver options")),
  );
}

function driverOption(text: string, complaint: string): [key: string, value: string] {
  const [key, value] = splitPair(text);
  if (key === "" || !text.includes("=")) throw new Error(complaint);
  return [key.trim(), value.trim()];
}

/** A value of `--network`: a name, or `name=x,alias=y,ip=...,driver-opt=a=b`. Throws an `Error`. */
export function parseNetwork(text: string): Attachment {
  if (!/\w+=\w+/.test(text)) return { name: text, endpoint: {} };
  const endpoint: Endpoint = {};
  const addresses: NonNullable<Endpoint["IPAMConfig"]> = {};
  let name = "";
  for (const field of splitCsv(text)) {
    const [word, rest] = splitPair(field);
    const [key, value] = [word.trim().toLowerCase(), rest.trim()];
    if (!field.includes("=") || key === "") throw new Error(`invalid field ${field}`);
    if (key === "name") name = value;
    else if (key === "alias") endpoint.Aliases = [...(endpoint.Aliases ?? []), value];
    else if (key === "ip") addresses.IPv4Address = value;
    else if (key === "ip6") addresses.IPv6Address = value;
    else if (key === "mac-address") endpoint.MacAddress = value;
    else if (key === "link-local-ip") addresses.LinkLocalIPs = [...(addresses.LinkLocalIPs ?? []), value];
    else if (key === "driver-opt") endpoint.DriverOpts = { ...endpoint.DriverOpts, ...oneOption(value) };
    else if (key === "gw-priority") endpoint.GwPriority = priority(value);
    else throw new Error(`invalid field key ${key}`);
  }
  if (name === "") throw new Error("network name/id is not specified");
  if (Object.keys(addresses).length > 0) endpoint.IPAMConfig = addresses;
  return { name, endpoint };
}

function oneOption(text: string): Record<string, string> {
  return Object.fromEntries([driverOption(text, "invalid key value pair format in driver options")]);
}

function priority(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new Error(`invalid gw-priority (${text}): invalid syntax`);
  return Number(text);
}
