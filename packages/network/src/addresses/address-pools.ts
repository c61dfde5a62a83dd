import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";
import type { AddressPool } from "../faces.ts";
import { chooseSubnet, type HostBlock } from "../kernel/host-routes.ts";
import {
  blockContains,
  blockIncludes,
  blockOf,
  blocksOverlap,
  type Family,
  formatBlock,
  formatIp,
  type IpBlock,
  lastOf,
  parseBlock,
  parseIp,
} from "./ip-block.ts";
import { formatSubnet } from "./ipv4.ts";

/** Blocks that other networks have. */
export interface TakenBlock {
  readonly block: IpBlock;
  readonly network: string;
}

export interface PoolSurroundings {
  readonly taken: readonly TakenBlock[];
  readonly host: readonly HostBlock[];
  /** Makes the random block of IPv6 the same for the same data root. */
  readonly owner: string;
}

/**
 * Complete pools of a new network: what the user wrote, checked, with gateways decided, and free blocks for what is missing.
 * Throws `invalid` naming all that is wrong, `forbidden` for overlaps, `exhausted`.
 */
export function planPools(
  wanted: readonly AddressPool[],
  ipv6: boolean,
  surroundings: PoolSurroundings,
): AddressPool[] {
  const given = wanted.filter((pool) => pool.subnet !== "" || hasMore(pool));
  const complaints = given.flatMap(complaintsAbout);
  if (complaints.length > 0) {
    throw new SlipwayError("invalid", `invalid network config:\n${complaints.join("\n")}`);
  }
  const own = given.map(complete);
  const [ipv4Own, ipv6Own] = ([4, 6] as const).map((family) =>
    own.filter((pool) => blockOf(pool.subnet).family === family),
  );
  if ((ipv4Own?.length ?? 0) > 1 || (ipv6Own?.length ?? 0) > 1) {
    throw new SlipwayError("forbidden", "bridge driver doesn't support multiple subnets");
  }
  for (const pool of own) checkNetworks(pool, surroundings.taken);
  checkHostRoutes(own, surroundings.host);
  const first = ipv4Own?.[0] ?? complete({ subnet: freeIpv4(surroundings) });
  if (!ipv6) return [first];
  return [first, ipv6Own?.[0] ?? complete({ subnet: freeIpv6(surroundings) })];
}

function hasMore({ gateway, range, auxiliary }: AddressPool): boolean {
  return Boolean(gateway) || Boolean(range) || Object.keys(auxiliary ?? {}).length > 0;
}

function complaintsAbout(pool: AddressPool): string[] {
  const parsed = parseBlock(pool.subnet);
  if (parsed === undefined) {
    const why = pool.subnet === "" ? "a gateway, range or auxiliary address needs a subnet" : "not a CIDR address";
    return [`invalid subnet ${pool.subnet}: ${why}`];
  }
  const { block, address } = parsed;
  const subnet = formatBlock(block);
  if (address.value !== block.base) return [`invalid subnet ${pool.subnet}: it should be ${subnet}`];
  // Name of the subnet, broadcast, gateway, one container.
  if (lastOf(block) - block.base < 3n) return [`invalid subnet ${subnet}: it leaves no address for containers`];
  const complaints: string[] = [];
  if (pool.range) complaints.push(...complaintsAboutRange(pool.range, block));
  if (pool.gateway) complaints.push(...complaintsAboutHost("gateway", pool.gateway, block));
  for (const address of Object.values(pool.auxiliary ?? {})) {
    complaints.push(...complaintsAboutHost("auxiliary address", address, block));
  }
  return complaints;
}

function complaintsAboutRange(range: string, subnet: IpBlock): string[] {
  const parsed = parseBlock(range);
  if (parsed === undefined) return [`invalid ip-range ${range}: not a CIDR address`];
  const { block, address } = parsed;
  if (block.family !== subnet.family)
    return [`invalid ip-range ${range}: parent subnet is an IPv${subnet.family} block`];
  if (address.value !== block.base) return [`invalid ip-range ${range}: it should be ${formatBlock(block)}`];
  if (blockIncludes(subnet, block)) return [];
  return [`invalid ip-range ${range}: parent subnet ${formatBlock(subnet)} doesn't contain ip-range`];
}

function complaintsAboutHost(kind: string, text: string, subnet: IpBlock): string[] {
  const address = parseIp(text);
  if (address === undefined) return [`invalid ${kind} ${text}: not an IP address`];
  if (address.family !== subnet.family)
    return [`invalid ${kind} ${text}: parent subnet is an IPv${subnet.family} block`];
  if (!blockContains(subnet, address)) {
    return [`invalid ${kind} ${text}: parent subnet ${formatBlock(subnet)} doesn't contain this address`];
  }
  if (isHostAddress(address.value, subnet)) return [];
  return [`invalid ${kind} ${text}: it names the whole subnet ${formatBlock(subnet)}`];
}

/** Neither the name of the subnet nor, in IPv4, its broadcast address. */
export function isHostAddress(value: bigint, subnet: IpBlock): boolean {
  return value !== subnet.base && (subnet.family === 6 || value !== lastOf(subnet));
}

/** In the notation that we write ourselves, so that equal settings are equal text. */
function complete(pool: AddressPool): AddressPool {
  const block = blockOf(pool.subnet);
  const auxiliary = Object.entries(pool.auxiliary ?? {}).map(([name, text]) => [name, canonical(text)]);
  return {
    subnet: formatBlock(block),
    gateway: pool.gateway ? canonical(pool.gateway) : formatIp({ family: block.family, value: block.base + 1n }),
    ...(pool.range ? { range: formatBlock(blockOf(pool.range)) } : {}),
    ...(auxiliary.length > 0 ? { auxiliary: Object.fromEntries(auxiliary) } : {}),
  };
}

function canonical(text: string): string {
  const address = parseIp(text);
  return address === undefined ? text : formatIp(address);
}

function checkNetworks(pool: AddressPool, taken: readonly TakenBlock[]): void {
  const block = blockOf(pool.subnet);
  const network = taken.find((each) => blocksOverlap(each.block, block));
  if (network !== undefined) throw overlap(pool.subnet, `${formatBlock(network.block)} of network ${network.network}`);
}

/**
 * What the host has on its own wires cannot be shared. A wide route through another router (a VPN for all of 10.0.0.0/8) may
 * have a hole: the kernel takes the narrower one. Throws `forbidden`.
 */
export function checkHostRoutes(pools: readonly AddressPool[], host: readonly HostBlock[]): void {
  for (const { subnet } of pools) {
    const block = blockOf(subnet);
    const route = host.find(
      (each) => blocksOverlap(each.block, block) && (!each.routed || blockIncludes(block, each.block)),
    );
    if (route !== undefined) {
      throw overlap(subnet, `the host's route to ${formatBlock(route.block)} on ${route.device}`);
    }
  }
}

function overlap(subnet: string, other: string): SlipwayError {
  return new SlipwayError(
    "forbidden",
    `invalid pool request: Pool overlaps with other one on this address space: ${subnet} overlaps with ${other}`,
    { hint: "Choose another --subnet, or leave it out to have a free one chosen." },
  );
}

function freeIpv4({ taken, host }: PoolSurroundings): string {
  const used = [...taken, ...host]
    .filter(({ block }) => block.family === 4)
    .map(({ block }) => ({ base: Number(block.base), prefixLength: block.prefixLength }));
  return formatSubnet(chooseSubnet(used));
}

/** RFC 4193: a block that is ours by chance, the first of its 65,536 subnets that is free. */
function freeIpv6({ taken, host, owner }: PoolSurroundings): string {
  const site = createHash("sha256").update(owner).digest("hex").slice(0, 10);
  for (let subnet = 0n; subnet < 65536n; subnet++) {
    const base = (0xfdn << 120n) | (BigInt(`0x${site}`) << 80n) | (subnet << 64n);
    const block: IpBlock = { family: 6, base, prefixLength: 64 };
    if (![...taken, ...host].some((each) => blocksOverlap(each.block, block))) return formatBlock(block);
  }
  throw new SlipwayError("exhausted", "no IPv6 block is free for a container network");
}

export interface PoolUse {
  /** Addresses that endpoints have. */
  readonly taken: ReadonlySet<bigint>;
  /** What the user asks for. */
  readonly wanted?: string | undefined;
  /** For messages. */
  readonly network: string;
}

/** An address for a container. Throws `invalid`, `forbidden` for one in use, `exhausted`. */
export function leaseAddress(pool: AddressPool, use: PoolUse): bigint {
  const subnet = blockOf(pool.subnet);
  const reserved = reservedIn(pool);
  if (use.wanted !== undefined) return wantedAddress(use.wanted, subnet, { ...use, reserved });
  const range = pool.range === undefined ? subnet : blockOf(pool.range);
  const last = lastOf(range);
  for (let value = range.base; value <= last; value++) {
    if (!use.taken.has(value) && !reserved.has(value) && isHostAddress(value, subnet)) return value;
  }
  throw new SlipwayError(
    "exhausted",
    `no available IPv${subnet.family} addresses on this network's address pools: ${use.network} (${formatBlock(range)})`,
  );
}

function reservedIn(pool: AddressPool): Map<bigint, string> {
  const reserved = new Map<bigint, string>();
  for (const [name, text] of [...Object.entries(pool.auxiliary ?? {}), ["the gateway", pool.gateway ?? ""]]) {
    const address = parseIp(text ?? "");
    if (address !== undefined) reserved.set(address.value, name ?? "");
  }
  return reserved;
}

function wantedAddress(
  text: string,
  subnet: IpBlock,
  use: PoolUse & { readonly reserved: ReadonlyMap<bigint, string> },
): bigint {
  const address = parseIp(text);
  if (address?.family !== subnet.family) {
    throw new SlipwayError("invalid", `invalid IPv${subnet.family} address: ${text}`);
  }
  if (!blockContains(subnet, address) || !isHostAddress(address.value, subnet)) {
    throw new SlipwayError(
      "invalid",
      `no configured subnet contains IP address ${text}: it is not in ${formatBlock(subnet)} of network ${use.network}`,
    );
  }
  const holder = use.reserved.get(address.value);
  if (holder !== undefined) throw new SlipwayError("forbidden", `Address already in use: ${text} is ${holder}`);
  if (use.taken.has(address.value)) throw new SlipwayError("conflict", `Address already in use: ${text} is in use`);
  return address.value;
}

export function familyOf(pool: AddressPool): Family {
  return blockOf(pool.subnet).family;
}
