import { blockOf, type Family, type IpBlock, ipBytes, lastOf, parseIp } from "../addresses/ip-block.ts";
import type { PublishedPort } from "../faces.ts";
import type { SetElement } from "../kernel/nfnetlink.ts";

/** A bridge as the rules see it. */
export interface BridgeRules {
  readonly bridge: string;
  /** One block of each family at most. */
  readonly subnets: readonly string[];
  readonly internal: boolean;
  readonly communication: boolean;
  readonly masquerade: boolean;
}

export interface PublishedTarget extends PublishedPort {
  /** The container's address, of the family of `hostAddress`. */
  readonly address: string;
}

/**
 * The whole table, for `nft -f -`. Its rules never change afterwards, only the sets and maps: a network is five or six
 * elements, a published port is one, and a container without ports is nothing at all.
 *
 * | set | holds |
 * |---|---|
 * | bridges | all of ours |
 * | inside | pairs of the same bridge, where containers may talk to each other |
 * | closed | bridges of internal networks |
 * | quiet | bridges whose containers may not talk to each other |
 * | own, own6 | a network's addresses with its bridge |
 * | masqueraded, masqueraded6 | the same, of those that leave under the host's address |
 */
export function fullRuleset(table: string): string {
  return `table inet ${table} {
  set bridges { type ifname; }
  set inside { type ifname . ifname; }
  set closed { type ifname; }
  set quiet { type ifname; }
  set own { type ipv4_addr . ifname; flags interval; }
  set own6 { type ipv6_addr . ifname; flags interval; }
  set masqueraded { type ipv4_addr . ifname; flags interval; }
  set masqueraded6 { type ipv6_addr . ifname; flags interval; }
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map ports6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
  map bound_ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  map bound_ports6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    iifname != @bridges accept
    # route_localnet lets the host's loopback reach containers; this keeps containers from the host's loopback.
    ip daddr 127.0.0.0/8 drop
    iifname != @closed accept
    # From an internal network nothing goes anywhere but to that network and its bridge.
    ip daddr . iifname @own accept
    ip6 daddr . iifname @own6 accept
    ip daddr { 224.0.0.0/4, 255.255.255.255 } accept
    ip6 daddr { fe80::/10, ff00::/8 } accept
    meta protocol { ip, ip6 } drop
  }
  chain publish {
    meta l4proto != { tcp, udp, sctp } return
    dnat ip to ip daddr . meta l4proto . th dport map @bound_ports
    meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports
    # Nothing that comes from ::1 may leave the machine's loopback: those connections go through the listener.
    ip6 daddr ::1 return
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @bound_ports6
    meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @ports6
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    # With bridge-nf-call-iptables the bridge would turn this round by itself, to a port that it may not send to: our
    # listener takes it.
    iifname @quiet meta l4proto tcp return
    fib daddr type local goto publish
  }
  chain output {
    type nat hook output priority -100; policy accept;
    fib daddr type local goto publish
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    # A container that asks for a published port of its neighbour, or of itself, must get the answer from where it asked.
    ip saddr . oifname @own ct status dnat masquerade
    ip6 saddr . oifname @own6 ct status dnat masquerade
    ip saddr . oifname @own accept
    ip6 saddr . oifname @own6 accept
    ip saddr . iifname @masqueraded masquerade
    ip6 saddr . iifname @masqueraded6 masquerade
    ip saddr 127.0.0.0/8 oifname @bridges masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname . oifname @inside accept
    iifname @closed drop
    oifname @closed drop
    oifname != @bridges accept
    ct state established,related accept
    ct status dnat accept
    # Other networks, and ports that are not published, are nobody's business but the containers'.
    drop
  }
}
`;
}

export function bridgeElements(rules: BridgeRules): SetElement[] {
  const name = interfaceBytes(rules.bridge);
  const elements: SetElement[] = [{ set: "bridges", key: name }];
  if (rules.communication) elements.push({ set: "inside", key: Buffer.concat([name, name]) });
  // Of an internal network nothing may come to the listener.
  else if (!rules.internal) elements.push({ set: "quiet", key: name });
  if (rules.internal) elements.push({ set: "closed", key: name });
  for (const subnet of rules.subnets) {
    const block = blockOf(subnet);
    const suffix = block.family === 6 ? "6" : "";
    elements.push(blockElement(`own${suffix}`, block, name));
    if (rules.masquerade && !rules.internal) elements.push(blockElement(`masqueraded${suffix}`, block, name));
  }
  return elements;
}

function blockElement(set: string, block: IpBlock, name: Uint8Array): SetElement {
  const { family, base } = block;
  return {
    set,
    key: Buffer.concat([ipBytes({ family, value: base }), name]),
    end: Buffer.concat([ipBytes({ family, value: lastOf(block) }), name]),
  };
}

const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;

export function portElement(port: PublishedTarget): SetElement {
  const host = addressBytes(port.hostAddress);
  const isBound = host.some((byte) => byte !== 0);
  const suffix = host.length === 16 ? "6" : "";
  const service = portBytes(port.hostPort);
  const protocol = Uint8Array.of(PROTOCOL_NUMBERS[port.protocol], 0, 0, 0);
  return {
    set: `${isBound ? "bound_ports" : "ports"}${suffix}`,
    key: Buffer.concat(isBound ? [host, protocol, service] : [protocol, service]),
    data: Buffer.concat([addressBytes(port.address), portBytes(port.containerPort)]),
  };
}

export function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

function addressBytes(text: string): Uint8Array {
  const address = parseIp(text);
  return address === undefined ? new Uint8Array(4) : ipBytes(address);
}

/** A field of a concatenation takes whole words. */
function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff, 0, 0);
}

/** IFNAMSIZ bytes. */
function interfaceBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(Buffer.from(name).subarray(0, 15));
  return bytes;
}
