import { isIP } from "node:net";
import { resolve } from "node:path";
import { SlipwayError } from "@slipway/base";

/** Where the API listens. */
export type DaemonAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly hostname: string; readonly port: number };

/** The longest path that fits into a socket address on Linux, without its closing zero. */
const MAX_SOCKET_PATH = 107;
const DEFAULT_PORT = 2375;
const DEFAULT_TLS_PORT = 2376;

/** Whom TCP addresses serve: everybody, whoever trusts our certificate, or only clients with one that we trust. */
export type Protection = "none" | "tls" | "mutual-tls";

/**
 * Reads a value of `-H`: `unix:///path`, a bare path, or `tcp://127.0.0.1:2375`. Without clients' certificates only loopback
 * addresses are served, since whoever can connect is root here. Throws `invalid`, `not-implemented`.
 */
export function parseAddress(text: string, protection: Protection = "none"): DaemonAddress {
  if (text.startsWith("unix://")) return unixAddress(text.slice("unix://".length), text);
  if (text.startsWith("/")) return unixAddress(text, text);
  if (text.startsWith("tcp://")) {
    return tcpAddress(text.slice("tcp://".length).replace(/\/$/, ""), text, protection);
  }
  if (text.startsWith("fd://")) {
    throw new SlipwayError("not-implemented", `cannot listen on '${text}': socket activation is not supported yet`, {
      hint: "Name the socket: -H unix:///run/slipway.sock",
    });
  }
  throw new SlipwayError("invalid", `invalid address for -H: '${text}'`, {
    hint: "Write unix:///path/to/socket or tcp://127.0.0.1:port.",
  });
}

function unixAddress(path: string, text: string): DaemonAddress {
  if (path === "" || path.includes("\0")) throw new SlipwayError("invalid", `invalid address for -H: '${text}'`);
  const absolute = resolve(path);
  if (Buffer.byteLength(absolute) > MAX_SOCKET_PATH) {
    throw new SlipwayError("invalid", `the socket path ${absolute} is longer than ${MAX_SOCKET_PATH} bytes`);
  }
  return { kind: "unix", path: absolute };
}

function tcpAddress(rest: string, text: string, protection: Protection): DaemonAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]*))(?::(\d{1,5}))?$/.exec(rest);
  const hostname = match?.[1] ?? match?.[2] ?? "";
  const usual = protection === "none" ? DEFAULT_PORT : DEFAULT_TLS_PORT;
  const port = match?.[3] === undefined ? usual : Number(match[3]);
  if (match === null || hostname === "" || port > 65535) {
    throw new SlipwayError("invalid", `invalid address for -H: '${text}'`, { hint: "Write tcp://127.0.0.1:2375." });
  }
  const numeric = hostname === "localhost" ? "127.0.0.1" : hostname;
  if (protection !== "mutual-tls" && !isLoopback(numeric)) {
    throw new SlipwayError(
      "invalid",
      `refusing to listen on '${text}': whoever reaches that port is root on this machine`,
      {
        hint: "Use a loopback address, a unix socket and ssh, or --tlsverify with --tlscacert, --tlscert and --tlskey.",
      },
    );
  }
  return { kind: "tcp", hostname: numeric, port };
}

function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}
