import { isIP } from "node:net";
import { SlipwayError } from "@slipway/base";
import type { PublishedPort } from "@slipway/network";
import type { ContainerConfig, HostConfig, PortBinding } from "../faces.ts";

export type Protocol = PublishedPort["protocol"];

export interface ContainerPort {
  readonly port: number;
  readonly protocol: Protocol;
}

/** A wish for a published port: one host port, or any of a range; 0 to 0 leaves it to the engine. */
export interface PortWish extends ContainerPort {
  /** Empty: all of both families. */
  readonly hostAddress: string;
  readonly firstHostPort: number;
  readonly lastHostPort: number;
}

/** Reads `80`, `80/udp`, `8000-8010/tcp`. Throws `invalid`. */
export function parsePorts(text: string): ContainerPort[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(\w+))?$/.exec(text);
  const protocol = (match?.[3] ?? "tcp").toLowerCase();
  if (match === null || !isProtocol(protocol)) throw invalidPort(text);
  const first = Number(match[1]);
  const last = Number(match[2] ?? first);
  if (first < 1 || last > 65535 || last < first) throw invalidPort(text);
  return Array.from({ length: last - first + 1 }, (_, index) => ({ port: first + index, protocol }));
}

function isProtocol(text: string): text is Protocol {
  return text === "tcp" || text === "udp" || text === "sctp";
}

function invalidPort(text: string): SlipwayError {
  return new SlipwayError("invalid", `invalid port specification: "${text}"`, {
    hint: "Write a port from 1 to 65535, and a protocol of tcp, udp or sctp: 80/tcp.",
  });
}

export function portKey(port: ContainerPort): string {
  return `${port.port}/${port.protocol}`;
}

/** The exposed ports of a container, each as `80/tcp`, in order of their numbers. */
export function exposedPorts(config: ContainerConfig, hostConfig: HostConfig): ContainerPort[] {
  const all = [...Object.keys(config.ExposedPorts ?? {}), ...Object.keys(hostConfig.PortBindings ?? {})];
  const byKey = new Map(all.flatMap(parsePorts).map((port) => [portKey(port), port]));
  return [...byKey.values()].sort((a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol));
}

/** What is to be published, checked. Throws `invalid` for addresses and ports that cannot be. */
export function wishedPorts(config: ContainerConfig, hostConfig: HostConfig): PortWish[] {
  const bound = Object.entries(hostConfig.PortBindings ?? {}).flatMap(([key, bindings]) => {
    const ports = parsePorts(key);
    return ports.flatMap((port) => (bindings ?? []).map((binding) => wishOf(port, binding)));
  });
  if (hostConfig.PublishAllPorts !== true) return bound;
  const taken = new Set(bound.map(portKey));
  const rest = exposedPorts(config, hostConfig).filter((port) => !taken.has(portKey(port)));
  return [...bound, ...rest.map((port) => wishOf(port, { HostIp: "", HostPort: "" }))];
}

function wishOf(port: ContainerPort, binding: PortBinding): PortWish {
  const address = (binding.HostIp ?? "").replace(/^\[(.*)\]$/, "$1");
  if (address !== "" && isIP(address) === 0) {
    throw new SlipwayError("invalid", `invalid IP address: ${address}`);
  }
  const match = /^(?:(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(binding.HostPort ?? "");
  const first = Number(match?.[1] ?? 0);
  const last = Number(match?.[2] ?? first);
  if (match === null || last > 65535 || last < first) {
    throw new SlipwayError("invalid", `invalid published port "${binding.HostPort}" for ${portKey(port)}`, {
      hint: "Write a port from 1 to 65535, a range such as 8000-8010, or nothing for a free one.",
    });
  }
  return { ...port, hostAddress: address, firstHostPort: first, lastHostPort: last };
}

/** What inspect and lists show: each exposed port, with the host ports that lead to it, or null. */
export function portTable(
  exposed: readonly ContainerPort[],
  published: readonly PublishedPort[],
): Record<string, readonly PortBinding[] | null> {
  const table: Record<string, PortBinding[] | null> = {};
  for (const port of exposed) table[portKey(port)] = null;
  for (const port of published) {
    const key = `${port.containerPort}/${port.protocol}`;
    (table[key] ??= []).push({ HostIp: port.hostAddress, HostPort: String(port.hostPort) });
  }
  return table;
}

/** Whether the engine is to choose the host's port. */
export function hasRandomPort(wish: PortWish): boolean {
  return wish.lastHostPort === 0;
}

/**
 * The wishes as requests of one attempt. Of a range the `attempt`-th port is asked for; undefined when every range is used
 * up. Where any port will do, the one among `last` that was had before is asked for.
 */
export function portRequests(
  wishes: readonly PortWish[],
  attempt: number,
  last: readonly PublishedPort[] = [],
): PublishedPort[] | undefined {
  const ranges = wishes.filter((wish) => wish.lastHostPort > wish.firstHostPort);
  if (attempt > 0 && ranges.every((wish) => wish.firstHostPort + attempt > wish.lastHostPort)) return undefined;
  const had = new Set(last);
  return wishes.map((wish) => {
    const { protocol, port: containerPort, hostAddress } = wish;
    const hostPort = Math.min(wish.firstHostPort + attempt, wish.lastHostPort);
    return { protocol, containerPort, hostAddress, hostPort: hasRandomPort(wish) ? takeOne(had, wish) : hostPort };
  });
}

/** The port that a wish was given the last time, once: two wishes for the same container port are two ports. 0 if there is none. */
function takeOne(had: Set<PublishedPort>, wish: PortWish): number {
  const isSame = (port: PublishedPort): boolean =>
    port.protocol === wish.protocol &&
    port.containerPort === wish.port &&
    (wish.hostAddress === "" || wish.hostAddress === port.hostAddress);
  const [port] = [...had].filter(isSame);
  for (const each of had) if (isSame(each) && each.hostPort === port?.hostPort) had.delete(each);
  return port?.hostPort ?? 0;
}
