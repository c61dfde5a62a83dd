import { isIP } from "node:net";

/** `host:ip` or `host=ip`, as the API takes it: `host:ip`. */
export function extraHost(text: string): string {
  const match = /^([^=:]+)[=:](.+)$/.exec(text);
  if (match === null) throw new Error(`bad format for add-host: ${JSON.stringify(text)}`);
  const address = (match[2] ?? "").replace(/^\[(.*)\]$/, "$1");
  if (address !== "host-gateway" && !/^[0-9a-fA-F:.]+$/.test(address)) {
    throw new Error(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
  return `${match[1]}:${address}`;
}

/** Throws an `Error` for what is no address of either family. */
export function checkAddress(text: string): void {
  if (isIP(text.trim()) === 0) throw new Error(`IP address is not correctly formatted: ${text}`);
}
