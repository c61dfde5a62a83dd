import { splitCsv } from "../grammar/values.ts";
import { splitPair } from "./environment.ts";

interface NetworkFlags {
  readonly network: readonly string[];
  readonly net: readonly string[];
  readonly "network-alias": readonly string[];
  readonly "net-alias": readonly string[];
  readonly ip: string;
  readonly ip6: string;
  readonly "link-local-ip": readonly string[];
  readonly "mac-address": string;
}

interface Endpoint {
  Aliases?: string[];
  DriverOpts?: Record<string, string>;
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] };
  MacAddress?: string;
  GwPriority?: number;
}

/** The network that the container starts in: the first one, or the engine's default. */
export function networkMode(flags: NetworkFlags): string {
  const [first] = networks(flags);
  return first?.name ?? "";
}

/** Settings of each network that has any, and of every network after the first. */
export function endpointsOf(flags: NetworkFlags): Record<string, Endpoint> {
  const all = networks(flags);
  const general = generalSettings(flags);
  const [first] = all;
  if (Object.keys(general).length > 0 && first !== undefined)
    Object.assign(first.endpoint, { ...general, ...first.endpoint });
  if (Object.keys(general).length > 0 && first === undefined) return { default: general };
  const several = all.length > 1;
  return Object.fromEntries(
    all
      .filter(({ endpoint }) => several || Object.keys(endpoint).length > 0)
      .map(({ name, endpoint }) => [name, endpoint]),
  );
}

function networks(flags: NetworkFlags): { name: string; endpoint: Endpoint }[] {
  return [...flags.network, ...flags.net].map(parseNetwork);
}

function generalSettings(flags: NetworkFlags): Endpoint {
  const aliases = [...flags["network-alias"], ...flags["net-alias"]];
  const addresses = {
    ...(flags.ip === "" ? {} : { IPv4Address: flags.ip }),
    ...(flags.ip6 === "" ? {} : { IPv6Address: flags.ip6 }),
    ...(flags["link-local-ip"].length === 0 ? {} : { LinkLocalIPs: [...flags["link-local-ip"]] }),
  };
  return {
    ...(aliases.length === 0 ? {} : { Aliases: aliases }),
    ...(Object.keys(addresses).length === 0 ? {} : { IPAMConfig: addresses }),
    ...(flags["mac-address"] === "" ? {} : { MacAddress: flags["mac-address"] }),
  };
}

/** A value of `--network`: a name, or `name=x,alias=y,ip=...,driver-opt=a=b`. */
function parseNetwork(text: string): { name: string; endpoint: Endpoint } {
  if (!text.includes("=")) return { name: text, endpoint: {} };
  const endpoint: Endpoint = {};
  let name = "";
  for (const field of splitCsv(text)) {
    const [key, value] = splitPair(field);
    switch (key.toLowerCase()) {
      case "name":
        name = value;
        break;
      case "alias":
        endpoint.Aliases = [...(endpoint.Aliases ?? []), value];
        break;
      case "ip":
        endpoint.IPAMConfig = { ...endpoint.IPAMConfig, IPv4Address: value };
        break;
      case "ip6":
        endpoint.IPAMConfig = { ...endpoint.IPAMConfig, IPv6Address: value };
        break;
      case "mac-address":
        endpoint.MacAddress = value;
        break;
      case "link-local-ip":
        endpoint.IPAMConfig = {
          ...endpoint.IPAMConfig,
          LinkLocalIPs: [...(endpoint.IPAMConfig?.LinkLocalIPs ?? []), value],
        };
        break;
      case "driver-opt": {
        const [option, setting] = splitPair(value);
        endpoint.DriverOpts = { ...endpoint.DriverOpts, [option]: setting };
        break;
      }
      case "gw-priority":
        endpoint.GwPriority = Number(value);
        break;
      default:
        throw new Error(`invalid field key ${key}`);
    }
  }
  if (name === "") throw new Error(`network name is missing in '${text}'`);
  return { name, endpoint };
}
