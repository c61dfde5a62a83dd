import { shortId } from "@slipway/base";
import type { ApiVersion } from "../api-version.ts";
import type { Container, ContainerEndpoint } from "../backend.ts";

type Document = Record<string, unknown>;

/** `NetworkSettings` of a container. Up to 1.51 there are fields that tell of the default network alone. */
export function networkSettings(container: Container, version: ApiVersion): Document {
  const first = container.endpoints.find(({ networkName }) => networkName === "bridge");
  const isHosts = container.hostConfig.NetworkMode === "host";
  const hasOwn = container.state.pid > 0 && (container.namespacePath !== "" || isHosts);
  const lasting = {
    SandboxID: hasOwn ? container.id : "",
    SandboxKey: container.namespacePath,
    Ports: container.ports,
    Networks: endpointDocuments(container, version),
  };
  if (version >= 52) return lasting;
  // In the order of Docker's fields: templates print the document as it is.
  const { Networks, ...sandbox } = lasting;
  return {
    Bridge: "",
    ...sandbox,
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: first?.endpointId ?? "",
    Gateway: first?.gateway ?? "",
    GlobalIPv6Address: first?.ipv6?.address ?? "",
    GlobalIPv6PrefixLen: first?.ipv6?.prefixLength ?? 0,
    IPAddress: first?.address ?? "",
    IPPrefixLen: first?.prefixLength ?? 0,
    IPv6Gateway: first?.ipv6?.gateway ?? "",
    MacAddress: first?.macAddress ?? "",
    Networks,
  };
}

/** By name of the network, in the order of names as Go writes maps. */
export function endpointDocuments(container: Container, version: ApiVersion): Document {
  return Object.fromEntries(
    container.endpoints
      .toSorted((one, two) => (one.networkName < two.networkName ? -1 : 1))
      .map((endpoint) => [endpoint.networkName, endpointDocument(container, endpoint, version)]),
  );
}

function endpointDocument(container: Container, endpoint: ContainerEndpoint, version: ApiVersion): Document {
  const { settings, ipv6 } = endpoint;
  const wasStarted = container.state.startedAt !== undefined || endpoint.endpointId !== "";
  const named = endpoint.dnsNames.length > 0 && wasStarted;
  return {
    IPAMConfig: ipamConfig(endpoint),
    Links: listOrNull(settings.links ?? []),
    Aliases: listOrNull(aliasesOf(container, endpoint, named && version < 45)),
    MacAddress: endpoint.macAddress,
    DriverOpts: settings.driverOptions ?? null,
    ...(version >= 48 && { GwPriority: settings.gatewayPriority ?? 0 }),
    NetworkID: endpoint.networkId,
    EndpointID: endpoint.endpointId,
    Gateway: endpoint.gateway,
    IPAddress: endpoint.address,
    IPPrefixLen: endpoint.prefixLength,
    IPv6Gateway: ipv6?.gateway ?? "",
    GlobalIPv6Address: ipv6?.address ?? "",
    GlobalIPv6PrefixLen: ipv6?.prefixLength ?? 0,
    ...(version >= 44 && { DNSNames: named ? endpoint.dnsNames : null }),
  };
}

/** Before API 1.45 the short ID stood among the aliases. */
function aliasesOf(container: Container, { settings }: ContainerEndpoint, withId: boolean): readonly string[] {
  const aliases = settings.aliases ?? [];
  const id = shortId(container.id);
  return withId && !aliases.includes(id) ? [...aliases, id] : aliases;
}

function ipamConfig({ settings: { ipv4, ipv6, linkLocal = [] } }: ContainerEndpoint): Document | null {
  if (!ipv4 && !ipv6 && linkLocal.length === 0) return null;
  return {
    ...(ipv4 && { IPv4Address: ipv4 }),
    ...(ipv6 && { IPv6Address: ipv6 }),
    ...(linkLocal.length > 0 && { LinkLocalIPs: linkLocal }),
  };
}

function listOrNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list;
}
