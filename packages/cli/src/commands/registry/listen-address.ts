import { SlipwayError } from "@slipway/base";

export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/** Reads `host:port`, `:port` (all addresses) and `[::1]:port`. Throws `invalid`. */
export function listenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new SlipwayError("invalid", `'${text}' is not an address to listen at`, {
      hint: "Give host:port, as 127.0.0.1:5000.",
    });
  }
  return { hostname: match[1] ?? (match[2] === "" ? "0.0.0.0" : (match[2] ?? "")), port };
}
