import { readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { type IpBlock, ipOfBytes } from "../addresses/ip-block.ts";
import { mask, overlap, type Subnet } from "../addresses/ipv4.ts";

const RTF_GATEWAY = 2;

export interface HostRoute extends Subnet {
  readonly device: string;
  /** Through another router, and not to the machines on a wire. */
  readonly routed: boolean;
}

/** A block of either family that the host has a route to. */
export interface HostBlock {
  readonly block: IpBlock;
  readonly device: string;
  readonly routed: boolean;
}

/** The host's IPv4 routes, the default one as `0.0.0.0/0`. */
export function hostRoutes(): HostRoute[] {
  return parseRoutes(readFileSync("/proc/net/route", "latin1"));
}

/** `/proc/net/route`: numbers are in the order of the network, printed as little-endian words. */
export function parseRoutes(text: string): HostRoute[] {
  const routes: HostRoute[] = [];
  for (const line of text.split("\n").slice(1)) {
    const [device, destination, , flags, , , , bits] = line.split("\t").map((each) => each.trim());
    if (device === undefined || destination === undefined || bits === undefined) continue;
    const netmask = swap(Number.parseInt(bits, 16));
    const routed = (Number.parseInt(flags ?? "0", 16) & RTF_GATEWAY) !== 0;
    routes.push({ device, base: swap(Number.parseInt(destination, 16)), prefixLength: prefixOf(netmask), routed });
  }
  return routes;
}

/** All routes but the default ones and those that every machine has. */
export function hostBlocks(): HostBlock[] {
  const ipv4 = hostRoutes()
    .filter((route) => route.prefixLength > 0)
    .map(({ base, prefixLength, device, routed }) => {
      const block: IpBlock = { family: 4, base: BigInt(base), prefixLength };
      return { block, device, routed };
    });
  return [...ipv4, ...parseIpv6Routes(readIfThere("/proc/net/ipv6_route"))];
}

/** `/proc/net/ipv6_route`: also holds each address, each multicast block and the unreachable ones of `lo`. */
export function parseIpv6Routes(text: string): HostBlock[] {
  const routes: HostBlock[] = [];
  for (const line of text.split("\n")) {
    const [destination, prefix, , , , , , , flags, device] = line.trim().split(/\s+/);
    if (destination === undefined || prefix === undefined || flags === undefined || device === undefined) continue;
    const prefixLength = Number.parseInt(prefix, 16);
    if (device === "lo" || prefixLength === 0 || /^f[ef]/.test(destination)) continue;
    const { value: base } = ipOfBytes(Buffer.from(destination, "hex"));
    const routed = (Number.parseInt(flags, 16) & RTF_GATEWAY) !== 0;
    routes.push({ block: { family: 6, base, prefixLength }, device, routed });
  }
  return routes;
}

/** A host without IPv6 has no such file. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function swap(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

function prefixOf(netmask: number): number {
  for (let length = 0; length <= 32; length++) if (mask(length) === netmask) return length;
  return 32;
}

/** Docker's default pools: 15 blocks of 65,536 addresses, 16 of 4,096. */
export function defaultPools(): Subnet[] {
  const pools: Subnet[] = [];
  for (let second = 17; second <= 31; second++)
    pools.push({ base: ((172 << 24) | (second << 16)) >>> 0, prefixLength: 16 });
  for (let third = 0; third < 256; third += 16)
    pools.push({ base: ((192 << 24) | (168 << 16) | (third << 8)) >>> 0, prefixLength: 20 });
  return pools;
}

/** Where Docker gives up: many small blocks, in a part of 10.0.0.0/8 that few use. */
function furtherPools(): Subnet[] {
  return Array.from({ length: 2048 }, (_, index) => ({
    base: ((10 << 24) | (208 << 16)) + index * 256,
    prefixLength: 24,
  }));
}

/** The first pool that no route of the host touches, nor any of `taken`. Throws `exhausted`. */
export function chooseSubnet(routes: readonly Subnet[], taken: readonly Subnet[] = []): Subnet {
  const inUse = [...routes.filter((route) => route.prefixLength > 0), ...taken];
  const isFree = (pool: Subnet): boolean => !inUse.some((each) => overlap(pool, each));
  const free = defaultPools().find(isFree) ?? furtherPools().find(isFree);
  if (free !== undefined) return free;
  throw new SlipwayError("exhausted", "no address block is free for a container network", {
    hint: `The host's routes cover all of 172.17.0.0/16 to 172.31.0.0/16, 192.168.0.0/16 and 10.208.0.0/13: name a block with --subnet, or --bip for the default network.`,
  });
}
