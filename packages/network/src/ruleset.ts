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

/**
 * The whole table, as one transaction for `nft -f -`, whatever was there of it before. Rules never change afterwards, only
 * the two maps: so a container without ports needs no call of nft at all, and one with ports a small one.
 */
export function fullRuleset(scope: RuleScope, ports: readonly PublishedTarget[]): string {
  const { table, bridge, subnet } = scope;
  return `add table ip ${table}
delete table ip ${table}
table ip ${table} {
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map bound_ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    # route_localnet lets the host's loopback reach containers; this keeps containers from the host's loopback.
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
  }
  chain publish {
    meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . meta l4proto . th dport map @bound_ports
    meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . th dport map @ports
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
${elements(table, ports)}`;
}

/** Only the published ports, replaced as a whole: the same transaction can be repeated, and lost ones come back. */
export function portsOnly(table: string, ports: readonly PublishedTarget[]): string {
  return `flush map ip ${table} ports
flush map ip ${table} bound_ports
${elements(table, ports)}`;
}

function elements(table: string, ports: readonly PublishedTarget[]): string {
  const wild: string[] = [];
  const bound: string[] = [];
  for (const { protocol, hostAddress, hostPort, address, containerPort } of ports) {
    // IPv6 goes through the listener that holds the port.
    if (hostAddress.includes(":")) continue;
    const target = `${protocol} . ${hostPort} : ${address} . ${containerPort}`;
    if (hostAddress === "0.0.0.0") wild.push(target);
    else bound.push(`${hostAddress} . ${target}`);
  }
  const add = (map: string, list: readonly string[]): string =>
    list.length === 0 ? "" : `add element ip ${table} ${map} { ${list.join(", ")} }\n`;
  return add("ports", wild) + add("bound_ports", bound);
}
