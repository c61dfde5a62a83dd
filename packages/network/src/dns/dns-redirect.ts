import { NETLINK_NETFILTER, type NetlinkRequest, NetlinkSocket } from "@slipway/sys";
import { batch, genericHeader } from "../kernel/nfnetlink.ts";
import { attribute, text } from "../kernel/rtnetlink.ts";

/**
 * Inside a container the resolver is 127.0.0.11, port 53. But a socket of ours on port 53 would keep the container from
 * having a name server of its own there (`0.0.0.0:53`), so ours listens on another port and these rules rewrite the port of
 * each packet. They keep no state: connection tracking would cost every packet of the container, and a connection that
 * the container's own rules track looks to them as if it were on port 53 in both directions, because it is rewritten after
 * the way in and before the way out.
 *
 *     chain in  { type filter hook input priority -150;  ip daddr 127.0.0.11 (udp|tcp) dport 53 dport set PORT }
 *     chain out { type filter hook output priority -300; ip saddr 127.0.0.11 (udp|tcp) sport PORT sport set 53
 *                 ip saddr 127.0.0.11 icmp type destination-unreachable drop }
 *
 * The last rule is for the moments in which the daemon is not there: a question then waits for it, and is not refused.
 *
 * Written as messages because a process for `nft` takes five milliseconds for each container, and this a tenth of one.
 */

export const RESOLVER_ADDRESS = "127.0.0.11";
const ADDRESS_BYTES = Uint8Array.of(127, 0, 0, 11);
const TABLE = "slipway-resolver";
const DNS_PORT = 53;

const SUBSYSTEM = 10 << 8;
const MSG = {
  NEWTABLE: SUBSYSTEM,
  GETTABLE: SUBSYSTEM | 1,
  DELTABLE: SUBSYSTEM | 2,
  NEWCHAIN: SUBSYSTEM | 3,
  NEWRULE: SUBSYSTEM | 6,
} as const;
const NLM_F = { EXCL: 0x200, CREATE: 0x400, APPEND: 0x800 } as const;
const NFPROTO_IPV4 = 2;
const NFTA_TABLE_NAME = 1;
const NFTA_CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const;
const NFTA_HOOK = { NUMBER: 1, PRIORITY: 2 } as const;
const NFTA_RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4 } as const;
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;
const NFTA_DATA = { VALUE: 1, VERDICT: 2 } as const;
const NFTA_VERDICT_CODE = 1;
const NFTA_CMP = { REGISTER: 1, OP: 2, DATA: 3 } as const;
const NFTA_META = { DESTINATION: 1, KEY: 2 } as const;
const NFTA_IMMEDIATE = { DESTINATION: 1, DATA: 2 } as const;
const NFTA_PAYLOAD = {
  DESTINATION: 1,
  BASE: 2,
  OFFSET: 3,
  LENGTH: 4,
  SOURCE: 5,
  CHECKSUM_TYPE: 6,
  CHECKSUM_OFFSET: 7,
} as const;
const HEADER = { NETWORK: 1, TRANSPORT: 2 } as const;
const HOOK = { LOCAL_IN: 1, LOCAL_OUT: 3 } as const;
const META_L4PROTO = 16;
const REGISTER = 1;
const VERDICT_REGISTER = 0;
const NF_DROP = 0;
const NF_ACCEPT = 1;
const CHECKSUM_INET = 1;
const UDP = { protocol: 17, checksum: 6 } as const;
const TCP = { protocol: 6, checksum: 16 } as const;
const ICMP = { protocol: 1, unreachable: 3 } as const;

/**
 * In the calling thread's namespace. What is there already stays, unless it leads to another port. It is asked for first: a
 * transaction that fails costs the kernel 10 ms. Throws `SystemError`.
 */
export function redirectResolver(port: number, options: { readonly replace: boolean }): void {
  using socket = new NetlinkSocket(NETLINK_NETFILTER);
  const [absent] = socket.attempt([request(MSG.GETTABLE, 0, [text(NFTA_TABLE_NAME, TABLE)])]);
  if (absent !== undefined) socket.transact(batch(makeTable(port)));
  else if (options.replace) socket.transact(batch([deleteTable(), ...makeTable(port)]));
}

function makeTable(port: number): NetlinkRequest[] {
  return [
    request(MSG.NEWTABLE, NLM_F.CREATE | NLM_F.EXCL, [text(NFTA_TABLE_NAME, TABLE)]),
    chain("in", HOOK.LOCAL_IN, -150),
    chain("out", HOOK.LOCAL_OUT, -300),
    ...[UDP, TCP].flatMap((kind) => [
      rule("in", [...isResolver(16), ...isProtocol(kind.protocol), ...movePort(2, [DNS_PORT, port], kind.checksum)]),
      rule("out", [...isResolver(12), ...isProtocol(kind.protocol), ...movePort(0, [port, DNS_PORT], kind.checksum)]),
    ]),
    rule("out", [
      ...isResolver(12),
      ...isProtocol(ICMP.protocol),
      load(HEADER.TRANSPORT, 0, 1),
      equals(Uint8Array.of(ICMP.unreachable)),
      drop(),
    ]),
  ];
}

function deleteTable(): NetlinkRequest {
  return request(MSG.DELTABLE, 0, [text(NFTA_TABLE_NAME, TABLE)]);
}

function request(type: number, flags: number, attributes: readonly Uint8Array[]): NetlinkRequest {
  const body = Buffer.concat([genericHeader(NFPROTO_IPV4), ...attributes]);
  return { type, flags, body, what: "leading questions to the resolver" };
}

function chain(name: string, hook: number, priority: number): NetlinkRequest {
  return request(MSG.NEWCHAIN, NLM_F.CREATE, [
    text(NFTA_CHAIN.TABLE, TABLE),
    text(NFTA_CHAIN.NAME, name),
    attribute(NFTA_CHAIN.HOOK, [u32(NFTA_HOOK.NUMBER, hook), u32(NFTA_HOOK.PRIORITY, priority)]),
    u32(NFTA_CHAIN.POLICY, NF_ACCEPT),
    text(NFTA_CHAIN.TYPE, "filter"),
  ]);
}

function rule(chainName: string, expressions: readonly Uint8Array[]): NetlinkRequest {
  return request(MSG.NEWRULE, NLM_F.CREATE | NLM_F.APPEND, [
    text(NFTA_RULE.TABLE, TABLE),
    text(NFTA_RULE.CHAIN, chainName),
    attribute(NFTA_RULE.EXPRESSIONS, expressions),
  ]);
}

/** At 12 of an IPv4 header is the source, at 16 the destination. */
function isResolver(offset: number): Uint8Array[] {
  return [load(HEADER.NETWORK, offset, 4), equals(ADDRESS_BYTES)];
}

function isProtocol(protocol: number): Uint8Array[] {
  const meta = expression("meta", [u32(NFTA_META.DESTINATION, REGISTER), u32(NFTA_META.KEY, META_L4PROTO)]);
  return [meta, equals(Uint8Array.of(protocol))];
}

function movePort(offset: number, [from, to]: readonly [number, number], checksum: number): Uint8Array[] {
  return [
    load(HEADER.TRANSPORT, offset, 2),
    equals(portBytes(from)),
    expression("immediate", [
      u32(NFTA_IMMEDIATE.DESTINATION, REGISTER),
      attribute(NFTA_IMMEDIATE.DATA, [attribute(NFTA_DATA.VALUE, portBytes(to))]),
    ]),
    expression("payload", [
      u32(NFTA_PAYLOAD.SOURCE, REGISTER),
      u32(NFTA_PAYLOAD.BASE, HEADER.TRANSPORT),
      u32(NFTA_PAYLOAD.OFFSET, offset),
      u32(NFTA_PAYLOAD.LENGTH, 2),
      u32(NFTA_PAYLOAD.CHECKSUM_TYPE, CHECKSUM_INET),
      u32(NFTA_PAYLOAD.CHECKSUM_OFFSET, checksum),
    ]),
  ];
}

function load(base: number, offset: number, length: number): Uint8Array {
  return expression("payload", [
    u32(NFTA_PAYLOAD.DESTINATION, REGISTER),
    u32(NFTA_PAYLOAD.BASE, base),
    u32(NFTA_PAYLOAD.OFFSET, offset),
    u32(NFTA_PAYLOAD.LENGTH, length),
  ]);
}

function equals(value: Uint8Array): Uint8Array {
  return expression("cmp", [
    u32(NFTA_CMP.REGISTER, REGISTER),
    u32(NFTA_CMP.OP, 0),
    attribute(NFTA_CMP.DATA, [attribute(NFTA_DATA.VALUE, value)]),
  ]);
}

function drop(): Uint8Array {
  return expression("immediate", [
    u32(NFTA_IMMEDIATE.DESTINATION, VERDICT_REGISTER),
    attribute(NFTA_IMMEDIATE.DATA, [attribute(NFTA_DATA.VERDICT, [u32(NFTA_VERDICT_CODE, NF_DROP)])]),
  ]);
}

function expression(name: string, attributes: readonly Uint8Array[]): Uint8Array {
  return attribute(NFTA_LIST_ELEM, [text(NFTA_EXPR.NAME, name), attribute(NFTA_EXPR.DATA, attributes)]);
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff);
}

/** Numbers of nf_tables are in the order of the network, also negative ones. */
function u32(type: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return attribute(type, bytes);
}
