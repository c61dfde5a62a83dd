import { closeSync, openSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import {
  createNetworkNamespace,
  NETLINK_ROUTE,
  NetlinkSocket,
  removeNetworkNamespace,
  SystemError,
  withNetworkNamespace,
} from "@slipway/sys";
import type { Bridge } from "./bridge.ts";
import { broadcast, formatAddress } from "./ipv4.ts";
import type { EndpointRecord } from "./network-table.ts";
import {
  ALL_LINKS,
  addAddress,
  addDefaultRoute,
  addVeth,
  deleteAddress,
  parseLink,
  setUp,
  withHairpin,
  withoutIpv6Address,
} from "./rtnetlink.ts";

const INSIDE = "eth0";

/**
 * A namespace with an interface on the bridge. All of it by netlink in this thread: 1.1 ms, where `ip netns add` and
 * `ip -batch` together take four.
 */
export function makeSandbox(path: string, endpoint: EndpointRecord, bridge: Bridge): void {
  createNetworkNamespace(path);
  const namespaceFd = openSync(path, "r");
  try {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    const { link: name, macAddress: peerMac } = endpoint;
    const { index: bridgeIndex, mtu } = bridge;
    const [made, hairpin, , up] = socket.attempt([
      addVeth({ name, bridgeIndex, mtu, peerName: INSIDE, peerMac, namespaceFd }),
      withHairpin(name),
      // May fail, on a host without IPv6.
      withoutIpv6Address(name),
      setUp(name),
    ]);
    const failure = made ?? hairpin ?? up;
    if (failure !== undefined) throw failure;
  } finally {
    closeSync(namespaceFd);
  }
  withNetworkNamespace(path, () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    const index = insideIndex(socket);
    socket.attempt([withoutIpv6Address(INSIDE)]);
    socket.transact([
      setUp(INSIDE),
      addAddress({
        index,
        address: endpoint.address,
        prefixLength: endpoint.prefixLength,
        broadcast: formatAddress(broadcast(bridge.subnet)),
      }),
      addDefaultRoute(endpoint.gateway, index),
    ]);
    allowLowPorts();
  });
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

function insideIndex(socket: NetlinkSocket): number {
  const link = socket
    .dump(ALL_LINKS)
    .map(parseLink)
    .find((each) => each.name === INSIDE);
  if (link === undefined) throw new SystemError("finding the interface", 19, INSIDE);
  return link.index;
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
        const index = insideIndex(socket);
        socket.attempt(endpoints.map(({ address, prefixLength }) => deleteAddress({ index, address, prefixLength })));
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }
  removeNetworkNamespace(path);
}

/** Names of interfaces in `/proc/net/dev` of the calling thread's namespace. */
export function interfaceNames(): string[] {
  return readFileSync("/proc/thread-self/net/dev", "latin1")
    .split("\n")
    .slice(2)
    .map((line) => line.split(":")[0]?.trim() ?? "")
    .filter((name) => name !== "");
}
