import { closeSync, openSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { SlipwayError } from "@slipway/base";
import {
  createNetworkNamespace,
  NETLINK_ROUTE,
  type NetlinkRequest,
  NetlinkSocket,
  removeNetworkNamespace,
  SystemError,
  withNetworkNamespace,
} from "@slipway/sys";
import { type Gateways, sameGateway } from "../addresses/gateways.ts";
import { broadcast, formatAddress } from "../addresses/ipv4.ts";
import type { Bridge } from "../bridge.ts";
import type { EndpointRecord } from "../endpoint-table.ts";
import {
  ALL_LINKS,
  addAddress,
  addIpv6Address,
  addVeth,
  deleteAddress,
  parseLink,
  setDefaultRoute,
  setDown,
  setUp,
  withHairpin,
  withoutIpv6Address,
  withoutNeighbours,
} from "./rtnetlink.ts";

/** What a change of endpoints means for the default routes. */
export interface RouteChange {
  readonly before: Gateways;
  readonly after: Gateways;
}

/**
 * A namespace with an interface on the bridge. All of it by netlink in this thread: 1.1 ms, where `ip netns add` and
 * `ip -batch` together take four.
 */
export function makeSandbox(
  path: string,
  endpoint: EndpointRecord,
  place: { bridge: Bridge; routes: RouteChange },
): void {
  createNetworkNamespace(path);
  attachInterface(path, endpoint, place);
  withNetworkNamespace(path, allowLowPorts);
}

/** One more interface for a namespace, in which processes may be running. */
export function attachInterface(
  path: string,
  endpoint: EndpointRecord,
  { bridge, routes }: { bridge: Bridge; routes: RouteChange },
): void {
  makeVeth(path, endpoint, bridge);
  const { interface: name, ipv6 } = endpoint;
  withNetworkNamespace(path, () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    const index = insideIndex(socket, name);
    if (ipv6 === undefined && !endpoint.linkLocal.some(isIPv6)) socket.attempt([withoutIpv6Address(name)]);
    else prepareIpv6(name);
    socket.transact([
      setUp(name),
      addAddress({
        index,
        address: endpoint.address,
        prefixLength: endpoint.prefixLength,
        broadcast: formatAddress(broadcast(bridge.subnet)),
      }),
      ...(ipv6 === undefined ? [] : [addIpv6Address({ index, ...ipv6 })]),
      ...endpoint.linkLocal.map((address) => linkLocalAddress(index, address)),
    ]);
    setSysctls(endpoint);
    changeRoutes(socket, routes);
  });
}

function linkLocalAddress(index: number, address: string): NetlinkRequest {
  if (isIPv6(address)) return addIpv6Address({ index, address, prefixLength: 64 });
  return addAddress({ index, address, prefixLength: 16, broadcast: "169.254.255.255" });
}

/** Throws `invalid` for what the kernel does not know or does not take. */
function setSysctls({ interface: name, sysctls }: EndpointRecord): void {
  for (const [path, value] of Object.entries(sysctls)) {
    try {
      writeFileSync(`/proc/sys/net/${path.replace("IFNAME", name)}`, value);
    } catch (error) {
      throw new SlipwayError("invalid", `net.${path.replaceAll("/", ".")} cannot be set to ${value}`, { cause: error });
    }
  }
}

function makeVeth(path: string, endpoint: EndpointRecord, bridge: Bridge): void {
  const namespaceFd = openSync(path, "r");
  try {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    const { link: name, macAddress: peerMac, interface: peerName } = endpoint;
    const { index: bridgeIndex, mtu } = bridge;
    const [made, hairpin, , up, alone] = socket.attempt([
      addVeth({ name, bridgeIndex, mtu, peerName, peerMac, namespaceFd }),
      withHairpin(name),
      // May fail, on a host without IPv6.
      withoutIpv6Address(name),
      setUp(name),
      ...(bridge.communication ? [] : [withoutNeighbours(name)]),
    ]);
    const failure = made ?? hairpin ?? up ?? alone;
    if (failure !== undefined) throw failure;
  } finally {
    closeSync(namespaceFd);
  }
}

/** Whoever is on the bridge could say that it is the router to everywhere; nobody but us does. */
function prepareIpv6(name: string): void {
  for (const [key, value] of [
    ["disable_ipv6", "0"],
    ["accept_ra", "0"],
  ] as const) {
    try {
      writeFileSync(`/proc/sys/net/ipv6/conf/${name}/${key}`, value);
    } catch {
      // Said by the address that cannot be given, if it matters.
    }
  }
}

/** Leaves alone what stays: the container may have changed it to its own taste. */
function changeRoutes(socket: NetlinkSocket, { before, after }: RouteChange): void {
  for (const family of ["ipv4", "ipv6"] as const) {
    const gateway = after[family];
    if (gateway === undefined || sameGateway(before[family], gateway)) continue;
    socket.transact([setDefaultRoute(gateway.address, insideIndex(socket, gateway.interface))]);
  }
}

/**
 * Makes an interface useless at once and gives its routes to others. The interface itself goes with its other end, which
 * takes the kernel longer than this thread may stand still. What the container has renamed or removed is left to that.
 */
export function silenceInterface(path: string, endpoint: EndpointRecord, routes: RouteChange): void {
  withNetworkNamespace(path, () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    changeRoutes(socket, routes);
    takeAddresses(socket, endpoint);
    socket.attempt([setDown(endpoint.interface)]);
  });
}

function takeAddresses(socket: NetlinkSocket, { interface: name, address, prefixLength, ipv6 }: EndpointRecord): void {
  const index = findIndex(socket, name);
  if (index === undefined) return;
  socket.attempt([
    deleteAddress({ index, address, prefixLength }),
    ...(ipv6 === undefined ? [] : [deleteAddress({ index, ...ipv6 })]),
  ]);
}

export function makeIsolated(path: string): void {
  createNetworkNamespace(path);
  withNetworkNamespace(path, allowLowPorts);
}

/** As Docker has it since 20.10: a container's namespaces are its own, its users may use every port and ping. */
function allowLowPorts(): void {
  for (const [key, value] of [
    ["ip_unprivileged_port_start", "0"],
    ["ping_group_range", "0 2147483647"],
  ] as const) {
    try {
      writeFileSync(`/proc/sys/net/ipv4/${key}`, value);
    } catch {
      // A kernel or a sandbox that does not let us: nothing but comfort is lost.
    }
  }
}

function findIndex(socket: NetlinkSocket, name: string): number | undefined {
  return socket
    .dump(ALL_LINKS)
    .map(parseLink)
    .find((each) => each.name === name)?.index;
}

function insideIndex(socket: NetlinkSocket, name: string): number {
  const index = findIndex(socket, name);
  if (index === undefined) throw new SystemError("finding the interface", 19, name);
  return index;
}

/** Whether the file really is a namespace, and not what a crash or a reboot left of it. */
export function isNamespace(path: string): boolean {
  try {
    // Files of nsfs lie on a device that no others lie on.
    return statSync(path).dev === statSync("/proc/self/ns/net").dev && statSync(path).ino !== ownInode();
  } catch {
    return false;
  }
}

function ownInode(): number {
  return Number(/\[(\d+)\]/.exec(readlinkSync("/proc/self/ns/net"))?.[1] ?? 0);
}

/**
 * Ends a namespace. Its interfaces go when its last process is gone, which the kernel does by itself, in groups and
 * without holding anybody up. The address goes at once: a container that joined this one's network could live on
 * with it while it is leased to another.
 */
export function endNamespace(path: string, endpoints: readonly EndpointRecord[]): void {
  if (endpoints.length > 0 && isNamespace(path)) {
    try {
      withNetworkNamespace(path, () => {
        using socket = new NetlinkSocket(NETLINK_ROUTE);
        for (const endpoint of endpoints) takeAddresses(socket, endpoint);
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }
  removeNetworkNamespace(path);
}
