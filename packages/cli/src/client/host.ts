import { ConnectionError } from "../errors.ts";
import type { Tunnel } from "./ssh-tunnel.ts";

/** Where the engine of this machine listens. */
export const DEFAULT_SOCKET = "/run/slipway.sock";

export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly verify: boolean;
}

/** An engine's address. */
export type Host =
  | { readonly kind: "unix"; readonly path: string; readonly tunnel?: Tunnel }
  | {
      readonly kind: "tcp";
      readonly hostname: string;
      readonly port: number;
      readonly base: string;
      readonly tls?: TlsFiles;
    };

/** What a host by ssh begins with; it is reached through a tunnel (`ssh-tunnel.ts`). */
export const SSH = "ssh://";

/** Reads `unix:///run/slipway.sock`, `tcp://host:2376`, `http(s)://host`. Throws `ConnectionError`. */
export function parseHost(text: string, tls?: TlsFiles): Host {
  const match = /^([a-z+]+):\/\/(.*)$/.exec(text);
  const [, scheme, rest = ""] = match ?? [];
  if (scheme === undefined) throw badHost(text, "a scheme is missing");
  switch (scheme) {
    case "unix":
      return { kind: "unix", path: rest === "" ? DEFAULT_SOCKET : rest };
    case "tcp":
    case "http":
    case "https":
      return tcpHost(text, rest, scheme === "https" ? (tls ?? { verify: true }) : tls);
    default:
      throw badHost(text, `${scheme}:// is not known`);
  }
}

function tcpHost(text: string, rest: string, tls: TlsFiles | undefined): Host {
  const slash = rest.indexOf("/");
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const base = slash < 0 ? "" : rest.slice(slash).replace(/\/+$/, "");
  const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]*)(?::(\d+))?$/.exec(authority);
  if (match === null) throw badHost(text, "expected HOST:PORT");
  const hostname = match[1] === undefined || match[1] === "" ? "localhost" : match[1];
  const port = match[2] === undefined ? (tls === undefined ? 2375 : 2376) : Number(match[2]);
  return { kind: "tcp", hostname, port, base, ...(tls === undefined ? {} : { tls }) };
}

function badHost(text: string, reason: string): ConnectionError {
  return new ConnectionError(
    `unable to parse docker host \`${text}\`: ${reason}`,
    "Write unix:///path/to/socket, tcp://HOST:PORT or ssh://USER@HOST.",
  );
}

export function hostText(host: Host): string {
  if (host.kind === "unix") return host.tunnel?.text ?? `unix://${host.path}`;
  return `tcp://${host.hostname}:${host.port}${host.base}`;
}
