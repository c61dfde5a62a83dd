import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Logger, SlipwayError } from "@slipway/base";
import { NETLINK_ROUTE, NetlinkSocket, SystemError } from "@slipway/sys";
import { type BridgePlace, broadcast, formatAddress, macOfAddress, overlap, type Subnet } from "./addresses/ipv4.ts";
import { runCommand } from "./kernel/command.ts";
import { chooseSubnet, hostRoutes } from "./kernel/host-routes.ts";
import {
  ALL_LINKS,
  addAddress,
  addBridge,
  addIpv6Address,
  BRIDGE_GROUP,
  deleteLink,
  type Link,
  parseLink,
  setAlias,
  setUp,
} from "./kernel/rtnetlink.ts";

export interface Bridge extends BridgePlace {
  readonly name: string;
  readonly index: number;
  readonly mtu: number;
  /** Its ports may talk to each other. */
  readonly communication: boolean;
}

/** The bridge's own IPv6 address. */
export interface Ipv6Place {
  readonly address: string;
  readonly prefixLength: number;
}

export interface BridgeWish {
  readonly name: string;
  readonly ipv6?: Ipv6Place | undefined;
  /** Bytes; as the host's way out has it when absent. */
  readonly mtu?: number | undefined;
  /** Blocks that are not to be chosen, beside those that the host has routes to. */
  readonly reserved?: readonly Subnet[];
  /** Marks it as ours. */
  readonly owner: string;
  /** What the user asked for. */
  readonly place: BridgePlace | undefined;
  /** Where it was the last time: taken again if the host's routes allow. */
  readonly lastPlace: BridgePlace | undefined;
}

export function listLinks(): Link[] {
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  return socket.dump(ALL_LINKS).map(parseLink);
}

export function findBridge(name: string): Link | undefined {
  return listLinks().find((link) => link.name === name);
}

/** Makes the bridge, or finds our own of before. Throws `conflict` if the name belongs to another engine. */
export function ensureBridge(wish: BridgeWish, logger: Logger): Omit<Bridge, "communication"> {
  const existing = findBridge(wish.name);
  if (existing === undefined) return makeBridge(wish, logger);
  const ours = isOurs(existing, wish.owner);
  const place = wish.place ?? wish.lastPlace;
  if (ours && place !== undefined && hasPlace(wish.name, place)) {
    configure(existing, wish, logger);
    return { name: wish.name, index: existing.index, mtu: existing.mtu, ...place };
  }
  const inUse = listLinks().some((link) => link.master === existing.index);
  const abandoned = existing.alias.startsWith("slipway ") || isHalfMade(existing);
  if (inUse || !abandoned) throw nameTaken(existing, ours);
  // A bridge of ours or of a crashed engine whose data root is gone, and nobody on it: nothing is lost with it.
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  socket.transact([deleteLink(existing.name)]);
  return makeBridge(wish, logger);
}

/**
 * Between making a bridge and writing its owner on it a process can be killed. Whoever makes one holds the lock of all engines
 * of the machine; so has to hold it who asks.
 */
function isHalfMade(link: Link): boolean {
  return link.alias === "" && link.group === BRIDGE_GROUP;
}

function nameTaken(link: Link, ours: boolean): SlipwayError {
  const owner = link.alias.startsWith("slipway ") ? "another engine" : "another program";
  const why = ours ? "has another address than it should" : `belongs to ${owner}`;
  return new SlipwayError("conflict", `the interface ${link.name} ${why}`, {
    hint: `Choose another name with --bridge, or remove it: ip link delete ${link.name}`,
  });
}

function makeBridge(wish: BridgeWish, logger: Logger): Omit<Bridge, "communication"> {
  const routes = hostRoutes();
  const place = wish.place ?? placeOf(wish.lastPlace, routes, wish.reserved);
  const mtu = wish.mtu ?? uplinkMtu(routes);
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  try {
    socket.transact([addBridge({ name: wish.name, mac: macOfAddress(place.gateway), mtu })]);
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "EEXIST") throw error;
    throw new SlipwayError("conflict", `another program has just made an interface ${wish.name}`, { cause: error });
  }
  const link = socket
    .dump(ALL_LINKS)
    .map(parseLink)
    .find((each) => each.name === wish.name);
  if (link === undefined) throw new SlipwayError("internal", `the bridge ${wish.name} vanished when it was made`);
  try {
    socket.transact([
      setAlias(wish.name, aliasOf(wish.owner)),
      addAddress({
        index: link.index,
        address: formatAddress(place.gateway),
        prefixLength: place.subnet.prefixLength,
        broadcast: formatAddress(broadcast(place.subnet)),
      }),
    ]);
    configure(link, wish, logger);
  } catch (error) {
    socket.attempt([deleteLink(wish.name)]);
    throw error;
  }
  return { name: wish.name, index: link.index, mtu, ...place };
}

export function placeOf(
  last: BridgePlace | undefined,
  routes: ReturnType<typeof hostRoutes>,
  reserved: readonly Subnet[] = [],
): BridgePlace {
  const used = [...routes.filter((route) => route.prefixLength > 0), ...reserved];
  if (last !== undefined && !used.some((each) => overlap(each, last.subnet))) return last;
  const subnet = chooseSubnet(routes, reserved);
  return { subnet, gateway: subnet.base + 1 };
}

function configure(link: Link, { owner, ipv6 }: BridgeWish, logger: Logger): void {
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  if (link.alias !== aliasOf(owner)) socket.transact([setAlias(link.name, aliasOf(owner))]);
  const conf = (family: string, key: string): string => `/proc/sys/net/${family}/conf/${link.name}/${key}`;
  // Packets of the host's 127.0.0.1 may go to containers (published ports on loopback). The reverse is closed by a rule.
  setSysctl(conf("ipv4", "route_localnet"), "1", logger);
  if (ipv6 !== undefined) {
    setSysctl(conf("ipv6", "disable_ipv6"), "0", logger);
    // Containers have raw sockets: one could tell the host that it is the router to everywhere (CVE-2020-13401).
    setSysctl(conf("ipv6", "accept_ra"), "0", logger);
    const [failure] = socket.attempt([addIpv6Address({ index: link.index, ...ipv6 })]);
    if (failure !== undefined && failure.code !== "EEXIST") throw failure;
    forwardIpv6(logger);
  } else if (existsSync(conf("ipv6", "disable_ipv6"))) {
    // No link-local address that nobody uses, and no traffic to announce it.
    setSysctl(conf("ipv6", "disable_ipv6"), "1", logger);
  }
  socket.transact([setUp(link.name)]);
  setSysctl("/proc/sys/net/ipv4/ip_forward", "1", logger);
}

/**
 * A host that forwards IPv6 stops listening to its routers, and with that may lose its own way out, unless each interface is
 * told to go on (accept_ra = 2).
 */
function forwardIpv6(logger: Logger): void {
  const root = "/proc/sys/net/ipv6/conf";
  if (readSysctl(`${root}/all/forwarding`) === "1") return;
  for (const name of readdirSync(root)) {
    if (name !== "all" && readSysctl(`${root}/${name}/accept_ra`) === "1") {
      setSysctl(`${root}/${name}/accept_ra`, "2", logger);
    }
  }
  setSysctl(`${root}/all/forwarding`, "1", logger);
}

function readSysctl(path: string): string {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return "";
  }
}

function setSysctl(path: string, value: string, logger: Logger): void {
  try {
    if (readSysctl(path) !== value) writeFileSync(path, value);
  } catch (error) {
    logger.warn("a kernel setting could not be changed", { path, value, error });
  }
}

/** Bridges of this engine, also those that no row knows, and what killed engines have left. Under the lock of all engines. */
export function ownBridges(owner: string): Link[] {
  return listLinks().filter((link) => isOurs(link, owner) || isHalfMade(link));
}

export function isOurs(link: Link, owner: string): boolean {
  return link.alias === aliasOf(owner);
}

function aliasOf(owner: string): string {
  return `slipway ${owner}`;
}

function hasPlace(name: string, place: BridgePlace): boolean {
  return hostRoutes().some(
    (route) =>
      route.device === name && route.base === place.subnet.base && route.prefixLength === place.subnet.prefixLength,
  );
}

/** Containers must not send larger packets than the way out takes: not everybody lets the answer to such packets through. */
function uplinkMtu(routes: ReturnType<typeof hostRoutes>): number {
  const uplink = routes.find((route) => route.prefixLength === 0)?.device;
  if (uplink === undefined) return 1500;
  try {
    const mtu = Number(readFileSync(`/sys/class/net/${uplink}/mtu`, "latin1"));
    return mtu >= 576 && mtu < 1500 ? mtu : 1500;
  } catch {
    return 1500;
  }
}

/** By a process: removing a bridge takes the kernel 30 ms, in which this one would stand still. */
export async function removeLinks(names: readonly string[]): Promise<void> {
  const present = new Set(listLinks().map((link) => link.name));
  const doomed = names.filter((name) => present.has(name));
  if (doomed.length === 0) return;
  // -force: one that went away by itself meanwhile must not keep the others.
  await runCommand(["ip", "-force", "-batch", "-"], doomed.map((name) => `link delete ${name}\n`).join("")).catch(
    (error) => {
      const left = new Set(listLinks().map((link) => link.name));
      if (doomed.some((name) => left.has(name))) throw error;
    },
  );
}
