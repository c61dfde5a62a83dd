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
  if (addressFamily(text.trim()) === 0) throw new Error(`IP address is not correctly formatted: ${text}`);
}

/** 4 or 6, or 0 for what is no address. `node:net` has such a function, and takes longer to load than `run --help` to answer. */
export function addressFamily(text: string): 0 | 4 | 6 {
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(text)) {
    return text.split(".").every((part) => Number(part) <= 255 && !/^0\d/.test(part)) ? 4 : 0;
  }
  return /^[0-9a-fA-F:.]+$/.test(text) && text.includes(":") && URL.canParse(`http://[${text}]/`) ? 6 : 0;
}
