import { BlockList, isIP, isIPv4 } from "node:net";

/** Whether a host is this machine: by name, or by an address of loopback. */
export function isLoopback(hostname: string): boolean {
  const name = bare(hostname);
  if (name === "localhost") return true;
  return isIPv4(name) ? name.startsWith("127.") : name === "::1";
}

/** Whether an address (never a name) lies in a network `a.b.c.d/n`. */
export function inNetwork(hostname: string, network: string): boolean {
  const name = bare(hostname);
  const [base = "", bits = "", ...rest] = network.split("/");
  const family = isIP(base);
  if (rest.length > 0 || family === 0 || isIP(name) !== family || !/^\d{1,3}$/.test(bits)) return false;
  const type = family === 4 ? "ipv4" : "ipv6";
  if (Number(bits) > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(bits), type);
  return list.check(name, type);
}

/** A host name as URLs have it, without the brackets of IPv6. */
export function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").toLowerCase();
}
