import { addressFamily } from "./host.ts";

export interface IpamFlags {
  readonly subnet: readonly string[];
  readonly "ip-range": readonly string[];
  readonly gateway: readonly string[];
  /** `name=address`. */
  readonly "aux-address": readonly string[];
}

interface Pool {
  readonly Subnet: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

interface Block {
  readonly family: number;
  readonly base: bigint;
  readonly bits: number;
}

/** Ranges, gateways and addresses go to the subnet that contains them. Throws an `Error` worded as Docker does. */
export function ipamConfig(flags: IpamFlags): Pool[] {
  const { subnet: subnets, "ip-range": ranges, gateway: gateways } = flags;
  if (subnets.length < ranges.length || subnets.length < gateways.length) {
    throw new Error("every ip-range or gateway must have a corresponding subnet");
  }
  const pools: { readonly pool: Pool; readonly block: Block }[] = [];
  for (const Subnet of subnets) {
    const block = blockOf(Subnet);
    const meets = ({ block: other }: { readonly block: Block }): boolean =>
      contains(other, block) || contains(block, other);
    if (pools.some(meets)) throw new Error("multiple overlapping subnet configuration is not supported");
    pools.push({ pool: { Subnet }, block });
  }
  const poolOf = (what: string, text: string, place: Block): Pool => {
    const found = pools.find(({ block }) => contains(block, place));
    if (found === undefined) throw new Error(`no matching subnet for ${what} ${text}`);
    return found.pool;
  };
  for (const text of ranges) {
    const pool = poolOf("range", text, blockOf(text));
    if (pool.IPRange !== undefined) {
      throw new Error(
        `cannot configure multiple ranges (${text}, ${pool.IPRange}) on the same subnet (${pool.Subnet})`,
      );
    }
    pool.IPRange = text;
  }
  for (const text of gateways) {
    const pool = poolOf("gateway", text, addressOf(text));
    if (pool.Gateway !== undefined) {
      throw new Error(
        `cannot configure multiple gateways (${text}, ${pool.Gateway}) for the same subnet (${pool.Subnet})`,
      );
    }
    pool.Gateway = text;
  }
  for (const pair of flags["aux-address"]) {
    const at = pair.indexOf("=");
    const [name, text] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
    const pool = poolOf("aux-address", text, addressOf(text));
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: text };
  }
  return pools.map(({ pool }) => pool);
}

/** A single address as a block of its own. */
function addressOf(text: string): Block {
  const family = addressFamily(text);
  if (family === 0) throw new Error(`invalid IP address: ${text}`);
  return { family, base: numberOf(text), bits: family === 4 ? 32 : 128 };
}

function blockOf(text: string): Block {
  const [address = "", length = ""] = text.split("/");
  const family = addressFamily(address);
  const width = family === 4 ? 32 : 128;
  if (family === 0 || !/^\d{1,3}$/.test(length) || Number(length) > width) {
    throw new Error(`invalid CIDR address: ${text}`);
  }
  const host = BigInt(width - Number(length));
  return { family, base: (numberOf(address) >> host) << host, bits: Number(length) };
}

function contains(outer: Block, inner: Block): boolean {
  const host = BigInt((outer.family === 4 ? 32 : 128) - outer.bits);
  return outer.family === inner.family && outer.bits <= inner.bits && inner.base >> host === outer.base >> host;
}

function numberOf(address: string): bigint {
  if (addressFamily(address) === 4) return address.split(".").reduce((value, part) => (value << 8n) | BigInt(part), 0n);
  // The URL parser writes an address as eight groups or with one gap, its IPv4 part as groups too.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = "", tail] = text.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = new Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...gap, ...after].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}
