import type { EndpointRecord } from "../endpoint-table.ts";

/** A default route: through which interface to which router. */
export interface Gateway {
  readonly interface: string;
  readonly address: string;
}

/** The ways out of a container. */
export interface Gateways {
  /** The endpoint of the IPv4 one; published ports lead to it. */
  readonly endpoint: EndpointRecord | undefined;
  readonly ipv4: Gateway | undefined;
  readonly ipv6: Gateway | undefined;
}

/**
 * Of the endpoints whose networks lead out: the highest priority wins, then the name that comes first in the alphabet, as
 * Docker has it.
 */
export function gatewaysOf(endpoints: readonly EndpointRecord[]): Gateways {
  const ordered = endpoints
    .filter((each) => !each.internal)
    .sort((one, two) => two.gatewayPriority - one.gatewayPriority || (one.networkName < two.networkName ? -1 : 1));
  const [endpoint] = ordered;
  const second = ordered.find((each) => each.ipv6 !== undefined);
  return {
    endpoint,
    ipv4: endpoint && { interface: endpoint.interface, address: endpoint.gateway },
    ipv6: second?.ipv6 && { interface: second.interface, address: second.ipv6.gateway },
  };
}

export function sameGateway(one: Gateway | undefined, two: Gateway | undefined): boolean {
  return one?.interface === two?.interface && one?.address === two?.address;
}
