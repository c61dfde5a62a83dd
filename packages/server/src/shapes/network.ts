import type { ApiVersion } from "../api-version.ts";
import type { Container, NetworkInfo } from "../backend.ts";
import { timestamp } from "./time.ts";

type Document = Record<string, unknown>;

/** An element of `GET /networks`, which never tells the containers, and the answer of `GET /networks/{id}`. */
export function networkDocument(
  network: NetworkInfo,
  version: ApiVersion,
  containers: readonly Container[] = [],
): Document {
  return {
    Name: network.name,
    Id: network.id,
    Created: timestamp(network.created),
    Scope: "local",
    Driver: network.driver,
    ...(version >= 48 && { EnableIPv4: true }),
    EnableIPv6: network.ipv6,
    IPAM: { Driver: "default", Options: network.predefined ? null : {}, Config: ipamConfig(network) },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: members(network, containers),
    Options: options(network),
    Labels: network.labels,
  };
}

function ipamConfig({ pools }: NetworkInfo): Document[] | null {
  if (pools.length === 0) return null;
  return pools.map(({ subnet, range, gateway, auxiliary }) => ({
    Subnet: subnet,
    ...(range && { IPRange: range }),
    ...(gateway && { Gateway: gateway }),
    ...(auxiliary && { AuxiliaryAddresses: auxiliary }),
  }));
}

/** What the default network is, in the words of Docker's driver; scripts look here for the name of the bridge. */
function options(network: NetworkInfo): Readonly<Record<string, string>> {
  if (!network.predefined || network.bridge === undefined) return network.options;
  return {
    "com.docker.network.bridge.default_bridge": "true",
    "com.docker.network.bridge.enable_icc": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
    "com.docker.network.bridge.name": network.bridge,
    ...network.options,
  };
}

function members(network: NetworkInfo, containers: readonly Container[]): Document {
  return Object.fromEntries(
    containers.map((container) => {
      const endpoint = container.endpoints.find((candidate) => candidate.networkId === network.id);
      const document = {
        Name: container.name,
        EndpointID: endpoint?.endpointId ?? "",
        MacAddress: endpoint?.macAddress ?? "",
        IPv4Address: withPrefix(endpoint),
        IPv6Address: withPrefix(endpoint?.ipv6),
      };
      return [container.id, document];
    }),
  );
}

function withPrefix(place: { readonly address: string; readonly prefixLength: number } | undefined): string {
  return place?.address ? `${place.address}/${place.prefixLength}` : "";
}
