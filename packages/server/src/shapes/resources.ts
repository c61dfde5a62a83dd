import type { Container, NetworkInfo, Volume } from "../backend.ts";
import { timestamp } from "./time.ts";

type Document = Record<string, unknown>;

export function volumeDocument(volume: Volume): Document {
  const hasOptions = Object.keys(volume.options).length > 0;
  const labels = volume.anonymous ? { "com.docker.volume.anonymous": "", ...volume.labels } : volume.labels;
  return {
    CreatedAt: timestamp(volume.created),
    Driver: volume.driver,
    Labels: Object.keys(labels).length === 0 ? null : labels,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: hasOptions ? volume.options : null,
    Scope: "local",
  };
}

export function networkDocument(network: NetworkInfo, containers?: readonly Container[]): Document {
  return {
    Name: network.name,
    Id: network.id,
    Created: timestamp(network.created),
    Scope: "local",
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: null, Config: ipamConfig(network) },
    Internal: network.internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: containers === undefined ? {} : members(network, containers),
    Options: network.bridge === undefined ? {} : { "com.docker.network.bridge.name": network.bridge },
    Labels: network.labels,
  };
}

function ipamConfig(network: NetworkInfo): Document[] | null {
  if (network.subnet === undefined) return null;
  return [{ Subnet: network.subnet, ...(network.gateway !== undefined && { Gateway: network.gateway }) }];
}

function members(network: NetworkInfo, containers: readonly Container[]): Document {
  return Object.fromEntries(
    containers.map((container) => {
      const endpoint = container.endpoints.find((candidate) => candidate.networkId === network.id);
      const address = endpoint?.address ? `${endpoint.address}/${endpoint.prefixLength}` : "";
      const document = {
        Name: container.name,
        EndpointID: endpoint?.endpointId ?? "",
        MacAddress: endpoint?.macAddress ?? "",
        IPv4Address: address,
        IPv6Address: "",
      };
      return [container.id, document];
    }),
  );
}
