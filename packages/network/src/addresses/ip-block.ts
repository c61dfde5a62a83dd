import { SlipwayError } from "@slipway/base";
import { formatAddress, parseAddress } from "./ipv4.ts";

export type Family = 4 | 6;

/** An address of either family; `value` is the number that its bytes make. */
export interface IpAddress {
  readonly family: Family;
  readonly value: bigint;
}

/** A block of addresses of either family. What happens for each packet or container in IPv4 is in `ipv4.ts`, with plain numbers. */
export interface IpBlock {
  readonly family: Family;
  readonly base: bigint;
  readonly prefixLength: number;
}

/** Undefined for what is no address. */
export function parseIp(text: string): IpAddress | undefined {
  if (!text.includes(":")) {
    const value = parseAddress(text);
    return value === undefined ? undefined : { family: 4, value: BigInt(value) };
  }
  const value = parseIpv6(text);
  return value === undefined ? undefined : { family: 6, value };
}

/** RFC 4291, section 2.2. No zone: `fe80::1%eth0` means nothing to another machine. */
function parseIpv6(text: string): bigint | undefined {
  const halves = withoutDottedTail(text).split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const word of [...head, ...Array<string>(missing).fill("0"), ...(tail ?? [])]) {
    if (!/^[0-9a-f]{1,4}$/i.test(word)) return undefined;
    value = (value << 16n) | BigInt(`0x${word}`);
  }
  return value;
}

/** `::ffff:192.0.2.1` as `::ffff:c000:201`. */
function withoutDottedTail(text: string): string {
  const at = text.lastIndexOf(":") + 1;
  const dotted = parseAddress(text.slice(at));
  if (dotted === undefined) return text;
  return `${text.slice(0, at)}${(dotted >>> 16).toString(16)}:${(dotted & 0xffff).toString(16)}`;
}

export function formatIp({ family, value }: IpAddress): string {
  return family === 4 ? formatAddress(Number(value)) : formatIpv6(value);
}

/** RFC 5952: lower case, the longest run of zeros (the first of equals, of two words at least) as `::`. */
function formatIpv6(value: bigint): string {
  const words = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - index * 16)) & 0xffffn));
  let [start, length] = [0, 0];
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (words[end] === 0) end++;
    if (end - at > length) [start, length] = [at, end - at];
  }
  const hex = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(":");
  return length < 2 ? hex(words) : `${hex(words.slice(0, start))}::${hex(words.slice(start + length))}`;
}

/** The bytes of an address in the order of the network. */
export function ipBytes({ family, value }: IpAddress): Uint8Array {
  return Uint8Array.from({ length: family === 4 ? 4 : 16 }, (_, index) =>
    Number((value >> BigInt((family === 4 ? 3 - index : 15 - index) * 8)) & 0xffn),
  );
}

export function ipOfBytes(bytes: Uint8Array): IpAddress {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 4 : 6, value };
}

export function widthOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** From `172.18.0.0/16` or `fd00::/64`; also the address that was written there. Undefined for what is none. */
export function parseBlock(text: string): { readonly block: IpBlock; readonly address: IpAddress } | undefined {
  const [addressText, prefixText, rest] = text.split("/");
  const address = parseIp(addressText ?? "");
  if (address === undefined || rest !== undefined || !/^\d{1,3}$/.test(prefixText ?? "")) return undefined;
  const prefixLength = Number(prefixText);
  if (prefixLength > widthOf(address.family)) return undefined;
  const { family, value } = address;
  return { block: { family, base: value & maskOf(family, prefixLength), prefixLength }, address };
}

/** As `parseBlock`, for text that was checked before. */
export function blockOf(text: string): IpBlock {
  const parsed = parseBlock(text);
  if (parsed === undefined) throw new SlipwayError("invalid", `invalid CIDR address: ${text}`);
  return parsed.block;
}

export function formatBlock({ family, base, prefixLength }: IpBlock): string {
  return `${formatIp({ family, value: base })}/${prefixLength}`;
}

function maskOf(family: Family, prefixLength: number): bigint {
  const host = BigInt(widthOf(family) - prefixLength);
  return ((1n << BigInt(widthOf(family))) - 1n) & ~((1n << host) - 1n);
}

/** The last address of a block. */
export function lastOf({ family, base, prefixLength }: IpBlock): bigint {
  return base + (1n << BigInt(widthOf(family) - prefixLength)) - 1n;
}

export function blockContains(block: IpBlock, { family, value }: IpAddress): boolean {
  return family === block.family && value >= block.base && value <= lastOf(block);
}

export function blocksOverlap(one: IpBlock, two: IpBlock): boolean {
  return one.family === two.family && one.base <= lastOf(two) && two.base <= lastOf(one);
}

export function blockIncludes(outer: IpBlock, inner: IpBlock): boolean {
  return outer.family === inner.family && outer.base <= inner.base && lastOf(inner) <= lastOf(outer);
}
