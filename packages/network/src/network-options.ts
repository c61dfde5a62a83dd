import { SlipwayError } from "@slipway/base";
import { parseAddress } from "./addresses/ipv4.ts";

/** Options of Docker's bridge driver that we know. */
export const NETWORK_OPTIONS = {
  bridgeName: "com.docker.network.bridge.name",
  communication: "com.docker.network.bridge.enable_icc",
  masquerade: "com.docker.network.bridge.enable_ip_masquerade",
  hostBinding: "com.docker.network.bridge.host_binding_ipv4",
  mtu: "com.docker.network.driver.mtu",
  interfacePrefix: "com.docker.network.container_iface_prefix",
} as const;

export interface BridgeSettings {
  /** Chosen by us when absent. */
  readonly bridgeName: string | undefined;
  /** Containers on the network may talk to each other. */
  readonly communication: boolean;
  /** What leaves the network leaves under the host's address. */
  readonly masquerade: boolean;
  /** Where ports are published that name no address; everywhere when absent. */
  readonly hostBinding: string | undefined;
  /** Bytes; that of the host's way out when absent. */
  readonly mtu: number | undefined;
  readonly interfacePrefix: string;
}

/** Options of a container's place in a network. */
export const ENDPOINT_OPTIONS = {
  interfaceName: "com.docker.network.endpoint.ifname",
  sysctls: "com.docker.network.endpoint.sysctls",
} as const;

export interface EndpointOptions {
  /** Chosen by us when absent. */
  readonly interfaceName: string | undefined;
  /** A path below `/proc/sys/net`, in which `IFNAME` stands for the interface, and its value. */
  readonly sysctls: Readonly<Record<string, string>>;
}

/** Throws `invalid` for a value that makes no sense, naming the option. Options of others have no effect. */
export function readEndpointOptions(options: Readonly<Record<string, string>>): EndpointOptions {
  const text = options[ENDPOINT_OPTIONS.sysctls] ?? "";
  const settings = text === "" ? [] : text.split(",").map((each) => sysctl(each.trim()));
  return {
    interfaceName: interfaceName(options, ENDPOINT_OPTIONS.interfaceName, 15),
    sysctls: Object.fromEntries(settings),
  };
}

/** `net.ipv4.conf.IFNAME.log_martians=1`. Nothing but settings of the interface itself: the rest is not ours to write. */
function sysctl(text: string): [path: string, value: string] {
  const match = /^net\.((?:ipv4|ipv6|mpls)\.(?:conf|neigh|input))\.IFNAME\.(\w+)=([\w ./-]{1,64})$/.exec(text);
  if (match === null) {
    throw invalid(ENDPOINT_OPTIONS.sysctls, text, "write it as net.ipv4.conf.IFNAME.log_martians=1");
  }
  const [, tree = "", name = "", value = ""] = match;
  return [`${tree.replace(".", "/")}/IFNAME/${name}`, value];
}

/** Throws `invalid` for a value that makes no sense, naming the option. */
export function readOptions(options: Readonly<Record<string, string>>): BridgeSettings {
  return {
    bridgeName: interfaceName(options, NETWORK_OPTIONS.bridgeName, 15),
    communication: boolean(options, NETWORK_OPTIONS.communication),
    masquerade: boolean(options, NETWORK_OPTIONS.masquerade),
    hostBinding: binding(options),
    mtu: mtu(options),
    // Three digits are left for the number.
    interfacePrefix: interfaceName(options, NETWORK_OPTIONS.interfacePrefix, 12) ?? "eth",
  };
}

function invalid(key: string, value: string, expected: string): SlipwayError {
  return new SlipwayError("invalid", `invalid value '${value}' for option ${key}: ${expected}`);
}

/** As Go's strconv.ParseBool has it; absent means true for both options that are one. */
function boolean(options: Readonly<Record<string, string>>, key: string): boolean {
  const value = options[key];
  if (value === undefined || value === "" || /^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw invalid(key, value, "it must be true or false");
}

/** A name goes into `/proc` paths and rules, where `/`, quotes and blanks would mean something. */
function interfaceName(options: Readonly<Record<string, string>>, key: string, longest: number): string | undefined {
  const value = options[key];
  if (value === undefined || value === "") return undefined;
  if (value.length > longest || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(value) || value === "all" || value === "default") {
    throw invalid(key, value, `it must be the name of an interface, up to ${longest} letters, digits and ._-`);
  }
  return value;
}

function binding(options: Readonly<Record<string, string>>): string | undefined {
  const value = options[NETWORK_OPTIONS.hostBinding];
  if (value === undefined || value === "") return undefined;
  if (parseAddress(value) === undefined) {
    throw invalid(NETWORK_OPTIONS.hostBinding, value, "it must be an IPv4 address of this host");
  }
  return value;
}

function mtu(options: Readonly<Record<string, string>>): number | undefined {
  const value = options[NETWORK_OPTIONS.mtu];
  if (value === undefined || value === "" || value === "0") return undefined;
  const number = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  // IPv4 asks for 68 bytes at least, the kernel's interfaces take no more than 65,535.
  if (number < 68 || number > 65535) throw invalid(NETWORK_OPTIONS.mtu, value, "it must be a number from 68 to 65535");
  return number;
}
