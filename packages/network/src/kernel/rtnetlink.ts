import { SlipwayError } from "@slipway/base";
import type { NetlinkRequest } from "@slipway/sys";
import { ipBytes, parseIp } from "../addresses/ip-block.ts";

/** Messages of rtnetlink(7) that make and change links, addresses and routes. Pure: bytes in, bytes out. */

const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18, NEWADDR: 20, DELADDR: 21, NEWROUTE: 24 } as const;
const NLM_F = { REPLACE: 0x100, EXCL: 0x200, CREATE: 0x400 } as const;
const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;
const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  MASTER: 10,
  LINKINFO: 18,
  GROUP: 27,
  IFALIAS: 20,
  AF_SPEC: 26,
  NET_NS_FD: 28,
} as const;
const IFLA_INFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;
const IFLA_BRPORT = { MODE: 4, ISOLATED: 33 } as const;
const VETH_INFO_PEER = 1;
const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4 } as const;
/** Used at once: on our own bridge nobody else can have it, and asking around takes a second. */
const IFA_F_NODAD = 2;
const RTA = { OIF: 4, GATEWAY: 5 } as const;
const IFF_UP = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const NESTED = 0x8000;

type Attribute = Uint8Array;

export function attribute(type: number, value: Uint8Array | readonly Attribute[]): Attribute {
  const body = value instanceof Uint8Array ? value : Buffer.concat(value as Attribute[]);
  const bytes = Buffer.alloc((4 + body.length + 3) & ~3);
  bytes.writeUInt16LE(4 + body.length, 0);
  bytes.writeUInt16LE(value instanceof Uint8Array ? type : type | NESTED, 2);
  bytes.set(body, 4);
  return bytes;
}

export function text(type: number, value: string): Attribute {
  return attribute(type, Buffer.from(`${value}\0`));
}

function u32(type: number, value: number): Attribute {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return attribute(type, bytes);
}

function ifinfomsg(index: number, flags: number, change: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(AF_UNSPEC, 0);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

function macBytes(address: string): Uint8Array {
  return Uint8Array.from(address.split(":"), (each) => Number.parseInt(each, 16));
}

export interface BridgeSpec {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
}

/** Any number that nobody else uses: it is on a bridge from the moment that it exists, unlike the name of its owner. */
export const BRIDGE_GROUP = 0x51_1b;

/** Fails with EEXIST if anything has the name. */
export function addBridge(spec: BridgeSpec): NetlinkRequest {
  const body = Buffer.concat([
    ifinfomsg(0, 0, 0),
    text(IFLA.IFNAME, spec.name),
    attribute(IFLA.ADDRESS, macBytes(spec.mac)),
    u32(IFLA.MTU, spec.mtu),
    u32(IFLA.GROUP, BRIDGE_GROUP),
    attribute(IFLA.LINKINFO, [text(IFLA_INFO.KIND, "bridge")]),
  ]);
  return { type: RTM.NEWLINK, flags: NLM_F.CREATE | NLM_F.EXCL, body, what: `making the bridge ${spec.name}` };
}

export function setAlias(name: string, alias: string): NetlinkRequest {
  const body = Buffer.concat([ifinfomsg(0, 0, 0), text(IFLA.IFNAME, name), text(IFLA.IFALIAS, alias)]);
  return { type: RTM.NEWLINK, flags: 0, body, what: `naming the owner of ${name}` };
}

export interface VethSpec {
  /** On the host, a port of the bridge. Neither end is up. */
  readonly name: string;
  readonly bridgeIndex: number;
  readonly mtu: number;
  /** Inside the namespace that `namespaceFd` has open. */
  readonly peerName: string;
  readonly peerMac: string;
  readonly namespaceFd: number;
}

export function addVeth(spec: VethSpec): NetlinkRequest {
  const peer = Buffer.concat([
    // Not up yet: the kernel configures this end before it has the other (ENOTCONN).
    ifinfomsg(0, 0, 0),
    text(IFLA.IFNAME, spec.peerName),
    attribute(IFLA.ADDRESS, macBytes(spec.peerMac)),
    u32(IFLA.MTU, spec.mtu),
    u32(IFLA.NET_NS_FD, spec.namespaceFd),
  ]);
  const body = Buffer.concat([
    ifinfomsg(0, 0, 0),
    text(IFLA.IFNAME, spec.name),
    u32(IFLA.MTU, spec.mtu),
    u32(IFLA.MASTER, spec.bridgeIndex),
    attribute(IFLA.LINKINFO, [
      text(IFLA_INFO.KIND, "veth"),
      attribute(IFLA_INFO.DATA, [attribute(VETH_INFO_PEER, peer)]),
    ]),
  ]);
  return { type: RTM.NEWLINK, flags: NLM_F.CREATE | NLM_F.EXCL, body, what: `making the interface ${spec.name}` };
}

/**
 * Lets a bridge send a packet back through the port it came from. With bridge-nf-call-iptables a container that asks for
 * its own published port is turned round inside the bridge, and not by routing.
 */
export function withHairpin(port: string): NetlinkRequest {
  return portSetting(port, IFLA_BRPORT.MODE, `letting ${port} speak to itself`);
}

/** A port that may speak to the bridge and not to the other ports of its kind. */
export function withoutNeighbours(port: string): NetlinkRequest {
  return portSetting(port, IFLA_BRPORT.ISOLATED, `isolating ${port}`);
}

function portSetting(port: string, setting: number, what: string): NetlinkRequest {
  const mode = attribute(setting, Uint8Array.of(1));
  const info = attribute(IFLA.LINKINFO, [
    text(IFLA_INFO.SLAVE_KIND, "bridge"),
    attribute(IFLA_INFO.SLAVE_DATA, [mode]),
  ]);
  const body = Buffer.concat([ifinfomsg(0, 0, 0), text(IFLA.IFNAME, port), info]);
  return { type: RTM.NEWLINK, flags: 0, body, what };
}

/** No link-local IPv6 address: nobody uses it, and announcing it takes time and packets. Before `setUp`. */
export function withoutIpv6Address(name: string): NetlinkRequest {
  const mode = attribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(IN6_ADDR_GEN_MODE_NONE));
  const spec = attribute(IFLA.AF_SPEC, [attribute(AF_INET6, [mode])]);
  const body = Buffer.concat([ifinfomsg(0, 0, 0), text(IFLA.IFNAME, name), spec]);
  return { type: RTM.NEWLINK, flags: 0, body, what: `leaving ${name} without an IPv6 address` };
}

export function setUp(name: string, master?: number): NetlinkRequest {
  const parts = [ifinfomsg(0, IFF_UP, IFF_UP), text(IFLA.IFNAME, name)];
  if (master !== undefined) parts.push(u32(IFLA.MASTER, master));
  return { type: RTM.NEWLINK, flags: 0, body: Buffer.concat(parts), what: `bringing ${name} up` };
}

export function setDown(name: string): NetlinkRequest {
  const body = Buffer.concat([ifinfomsg(0, 0, IFF_UP), text(IFLA.IFNAME, name)]);
  return { type: RTM.NEWLINK, flags: 0, body, what: `taking ${name} down` };
}

export function deleteLink(name: string): NetlinkRequest {
  const body = Buffer.concat([ifinfomsg(0, 0, 0), text(IFLA.IFNAME, name)]);
  return { type: RTM.DELLINK, flags: 0, body, what: `removing the interface ${name}` };
}

export interface AddressSpec {
  readonly index: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly broadcast: string;
}

export function addAddress(spec: AddressSpec): NetlinkRequest {
  const { prefixLength, index } = spec;
  const body = Buffer.concat([
    ifaddrmsg({ family: AF_INET, prefixLength, index }),
    attribute(IFA.LOCAL, bytesOf(spec.address)),
    attribute(IFA.ADDRESS, bytesOf(spec.address)),
    attribute(IFA.BROADCAST, bytesOf(spec.broadcast)),
  ]);
  return { type: RTM.NEWADDR, flags: NLM_F.CREATE | NLM_F.EXCL, body, what: `giving the address ${spec.address}` };
}

export function deleteAddress(spec: Omit<AddressSpec, "broadcast">): NetlinkRequest {
  const { index, address, prefixLength } = spec;
  const local = attribute(IFA.LOCAL, bytesOf(address));
  const body = Buffer.concat([ifaddrmsg({ family: familyOf(address), prefixLength, index }), local]);
  return { type: RTM.DELADDR, flags: 0, body, what: `taking the address ${address} back` };
}

export function addIpv6Address(spec: Omit<AddressSpec, "broadcast">): NetlinkRequest {
  const { index, address, prefixLength } = spec;
  const head = ifaddrmsg({ family: AF_INET6, prefixLength, index, flags: IFA_F_NODAD });
  const body = Buffer.concat([head, attribute(IFA.LOCAL, bytesOf(address)), attribute(IFA.ADDRESS, bytesOf(address))]);
  return { type: RTM.NEWADDR, flags: NLM_F.CREATE | NLM_F.EXCL, body, what: `giving the address ${address}` };
}

function ifaddrmsg(spec: { family: number; prefixLength: number; index: number; flags?: number }): Uint8Array {
  const head = Buffer.from([spec.family, spec.prefixLength, spec.flags ?? 0, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(spec.index, 4);
  return head;
}

function familyOf(address: string): number {
  return address.includes(":") ? AF_INET6 : AF_INET;
}

function bytesOf(address: string): Uint8Array {
  const parsed = parseIp(address);
  if (parsed === undefined) throw new SlipwayError("invalid", `${address} is not an address`);
  return ipBytes(parsed);
}

/** Makes or changes the default route of the gateway's family. */
export function setDefaultRoute(gateway: string, index: number): NetlinkRequest {
  const body = Buffer.concat([
    defaultRoute(familyOf(gateway)),
    attribute(RTA.GATEWAY, bytesOf(gateway)),
    u32(RTA.OIF, index),
  ]);
  return { type: RTM.NEWROUTE, flags: NLM_F.CREATE | NLM_F.REPLACE, body, what: `routing through ${gateway}` };
}

/** struct rtmsg */
function defaultRoute(family: number): Uint8Array {
  const RT_TABLE_MAIN = 254;
  const RTPROT_BOOT = 3;
  const RTN_UNICAST = 1;
  return Uint8Array.of(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0, 0, 0, 0);
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** Index of the bridge it is a port of. */
  readonly master: number | undefined;
  /** Says whose it is; shown by `ip link`. */
  readonly alias: string;
  readonly group: number;
}

export const ALL_LINKS: NetlinkRequest = {
  type: RTM.GETLINK,
  flags: 0,
  body: ifinfomsg(0, 0, 0),
  what: "listing interfaces",
};

/** One answer to `ALL_LINKS`. */
export function parseLink(answer: Uint8Array): Link {
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
  let [name, alias, mtu, group] = ["", "", 0, 0];
  let master: number | undefined;
  for (let at = 16; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) break;
    const type = bytes.readUInt16LE(at + 2);
    if (type === IFLA.IFNAME) name = bytes.toString("utf8", at + 4, at + length - 1);
    else if (type === IFLA.IFALIAS) alias = bytes.toString("utf8", at + 4, at + length - 1);
    else if (type === IFLA.GROUP) group = bytes.readUInt32LE(at + 4);
    else if (type === IFLA.MASTER) master = bytes.readUInt32LE(at + 4);
    else if (type === IFLA.MTU) mtu = bytes.readUInt32LE(at + 4);
    at += (length + 3) & ~3;
  }
  return { index: bytes.readInt32LE(4), name, alias, mtu, group, master, up: (bytes.readUInt32LE(8) & IFF_UP) !== 0 };
}
