import { SlipwayError } from "@slipway/base";

/** A block of IPv4 addresses; addresses are unsigned 32-bit numbers. */
export interface Subnet {
  readonly base: number;
  readonly prefixLength: number;
}

export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1).map(Number);
  return parts.some((each) => each > 255) ? undefined : parts.reduce((sum, each) => sum * 256 + each, 0);
}

export function formatAddress(address: number): string {
  return [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join(".");
}

/** From `172.18.0.0/16`; bits behind the prefix are cut off. Throws `invalid`. */
export function parseSubnet(text: string): Subnet {
  const [address, prefix, rest] = text.split("/");
  const base = parseAddress(address ?? "");
  const prefixLength = /^\d{1,2}$/.test(prefix ?? "") ? Number(prefix) : 33;
  if (base === undefined || prefixLength > 32 || rest !== undefined) {
    throw new SlipwayError("invalid", `${text} is not an IPv4 subnet`, { hint: "write it as 172.18.0.0/16" });
  }
  return { base: (base & mask(prefixLength)) >>> 0, prefixLength };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefixLength}`;
}

export function mask(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}

export function broadcast(subnet: Subnet): number {
  return (subnet.base | ~mask(subnet.prefixLength)) >>> 0;
}

export function contains(subnet: Subnet, address: number): boolean {
  return (address & mask(subnet.prefixLength)) >>> 0 === subnet.base;
}

export function overlap(one: Subnet, two: Subnet): boolean {
  return one.prefixLength <= two.prefixLength ? contains(one, two.base) : contains(two, one.base);
}

/**
 * The hardware address that belongs to an IP address, as Docker makes it. Whoever gets an address again has the same
 * hardware address, so nobody's neighbour table goes stale.
 */
export function macOfAddress(address: number): string {
  const hex = address.toString(16).padStart(8, "0");
  return `02:42:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}`;
}

/** A bridge's own address and the subnet around it. */
export interface BridgePlace {
  readonly gateway: number;
  readonly subnet: Subnet;
}

/** From `172.18.0.1/16`, as `--bip` has it. The address must be one that a host can have. Throws `invalid`. */
export function parsePlace(text: string): BridgePlace {
  const subnet = parseSubnet(text);
  const gateway = parseAddress(text.split("/")[0] ?? "") ?? 0;
  if (subnet.prefixLength > 29 || gateway === subnet.base || gateway === broadcast(subnet)) {
    throw new SlipwayError("invalid", `${text} leaves no address for the bridge and its containers`, {
      hint: "Write the bridge's own address and a prefix of at most 29: 172.18.0.1/16.",
    });
  }
  return { gateway, subnet };
}
