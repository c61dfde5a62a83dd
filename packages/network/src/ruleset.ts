import type { PublishedPort } from "./faces.ts";

/** What the rules are about. */
export interface RuleScope {
  readonly table: string;
  readonly bridge: string;
  readonly subnet: string;
}

export interface PublishedTarget extends PublishedPort {
  /** The container's address. */
  readonly address: string;
}

export const PORT_MAP = "ports";
export const BOUND_PORT_MAP = "bound_ports";

/**
 * The whole table, for `nft -f -`. Its rules never change afterwards, only the two maps: so a container without ports
 * costs no rule at all.
 */
export function fullRuleset(scope: RuleScope): string {
  const { table, bridge, subnet } = scope;
  return `table ip ${table} {
  map ${PORT_MAP} { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map ${BOUND_PORT_MAP} { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    # route_localnet lets the host's loopback reach containers; this keeps containers from the host's loopback.
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
  }
  chain publish {
    meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . meta l4proto . th dport map @${BOUND_PORT_MAP}
    meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . th dport map @${PORT_MAP}
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local goto publish
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local goto publish
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${subnet} oifname != "${bridge}" masquerade
    # A container that asks for a published port of its neighbour, or of itself, must get the answer from where it asked.
    ip saddr ${subnet} oifname "${bridge}" ct status dnat masquerade
    ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname != "${bridge}" accept
    iifname "${bridge}" accept
    ct state established,related accept
    ct status dnat accept
    # Ports that are not published are nobody's business but the containers'.
    drop
  }
}
`;
}
