import { readFileSync } from "node:fs";
import { errnoOf, errorMessage, isError, type Logger, SlipwayError, shortId } from "@slipway/base";
import type { EndpointRecord, EndpointTable } from "../endpoint-table.ts";
import type { PublishedPort } from "../faces.ts";
import { findPortHolder } from "./port-holder.ts";
import { type Accepts, openPortListener, type PortListener } from "./port-listener.ts";

/** The host ports of running containers, held by listeners of this process. */
export class PublishedPorts {
  readonly #table: EndpointTable;
  readonly #accepts: Accepts;
  readonly #logger: Logger;
  readonly #held = new Map<string, PortListener[]>();
  #lastRandom = 0;

  constructor(table: EndpointTable, accepts: Accepts, logger: Logger) {
    this.#table = table;
    this.#accepts = accepts;
    this.#logger = logger;
  }

  /**
   * Takes all ports that a container wants, or none. Ports that were left to us (0) are decided; one container port
   * gets the same one in IPv4 and IPv6. Throws `conflict` with the holder's name.
   */
  async acquire(containerId: string, wanted: readonly PublishedPort[]): Promise<PublishedPort[]> {
    const listeners: PortListener[] = [];
    this.#held.set(containerId, listeners);
    try {
      for (const port of wanted.filter((each) => each.hostPort !== 0)) listeners.push(...(await this.#open(port)));
      for (const group of groupsOfRandom(wanted)) listeners.push(...(await this.#openRandom(group)));
    } catch (error) {
      await this.release(containerId);
      throw error;
    }
    return listeners.map((listener) => listener.port);
  }

  /** Connections that reach the listeners go to this endpoint of the container from now on. */
  forward(endpoint: EndpointRecord): void {
    for (const listener of this.#held.get(endpoint.containerId) ?? []) listener.forwardTo(endpoint.address);
  }

  async release(containerId: string): Promise<void> {
    const listeners = this.#held.get(containerId) ?? [];
    this.#held.delete(containerId);
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  /** Takes the ports of a container that outlived an earlier daemon. One that another program took meanwhile is only reported. */
  async restore(endpoint: EndpointRecord): Promise<void> {
    if (this.#held.has(endpoint.containerId)) return;
    const listeners: PortListener[] = [];
    this.#held.set(endpoint.containerId, listeners);
    for (const port of endpoint.ports) {
      try {
        const listener = await openPortListener(port, this.#accepts);
        listener.forwardTo(endpoint.address);
        listeners.push(listener);
      } catch (error) {
        const container = shortId(endpoint.containerId);
        this.#logger.warn("a published port could not be held again", {
          container,
          ...port,
          error: errorMessage(error),
        });
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#held.keys()].map((containerId) => this.release(containerId)));
  }

  async #open(port: PublishedPort): Promise<PortListener[]> {
    const holder = this.#table.portHolder(port);
    if (holder !== undefined) throw portTaken(port, `by container ${describe(holder)}`);
    try {
      return [await openPortListener(port, this.#accepts)];
    } catch (error) {
      if (isMissingIpv6(port, error)) return [];
      throw bindFailure(port, error);
    }
  }

  async #openRandom(group: readonly PublishedPort[]): Promise<PortListener[]> {
    const [first, last] = ephemeralRange();
    const count = last - first + 1;
    if (this.#lastRandom === 0) this.#lastRandom = first + Math.floor(Math.random() * count);
    for (let attempt = 0; attempt < count; attempt++) {
      this.#lastRandom = this.#lastRandom >= last ? first : this.#lastRandom + 1;
      const listeners = await this.#tryAll(group.map((port) => ({ ...port, hostPort: this.#lastRandom })));
      if (listeners !== undefined) return listeners;
    }
    throw new SlipwayError("exhausted", `no free port is left between ${first} and ${last}`);
  }

  async #tryAll(ports: readonly PublishedPort[]): Promise<PortListener[] | undefined> {
    const listeners: PortListener[] = [];
    try {
      for (const port of ports) listeners.push(...(await this.#open(port)));
      return listeners;
    } catch (error) {
      await Promise.all(listeners.map((listener) => listener.close()));
      if (isError(error, "conflict")) return undefined;
      throw error;
    }
  }
}

function describe({ name, containerId }: { readonly name: string | undefined; readonly containerId: string }): string {
  return name === undefined ? shortId(containerId) : `${name} (${shortId(containerId)})`;
}

/** Wishes for any port, those of one container port together. */
function groupsOfRandom(wanted: readonly PublishedPort[]): PublishedPort[][] {
  const groups = new Map<string, PublishedPort[]>();
  for (const port of wanted) {
    if (port.hostPort !== 0) continue;
    const family = port.hostAddress.includes(":") ? "6" : "4";
    let key = `${port.protocol} ${port.containerPort}`;
    // Two wishes of one family are two ports.
    while (groups.get(key)?.some((each) => each.hostAddress.includes(":") === (family === "6"))) key += " again";
    groups.set(key, [...(groups.get(key) ?? []), port]);
  }
  return [...groups.values()];
}

/** All addresses of IPv6, on a host that has none: nothing is lost. */
function isMissingIpv6(port: PublishedPort, error: unknown): boolean {
  return port.hostAddress === "::" && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(errnoOf(error) ?? "");
}

function bindFailure(port: PublishedPort, cause: unknown): Error {
  const errno = errnoOf(cause);
  if (errno === "EADDRINUSE") {
    const holder = findPortHolder(port);
    return portTaken(port, holder === undefined ? undefined : `by ${holder.name} (process ${holder.pid})`, cause);
  }
  const where = formatHost(port);
  if (errno === "EADDRNOTAVAIL") {
    return new SlipwayError("invalid", `cannot publish on ${where}: this host has no address ${port.hostAddress}`, {
      cause,
    });
  }
  return new SlipwayError("unavailable", `cannot publish on ${where}: ${errorMessage(cause)}`, { cause });
}

function portTaken(port: PublishedPort, holder: string | undefined, cause?: unknown): SlipwayError {
  const by = holder === undefined ? "" : ` ${holder}`;
  return new SlipwayError("conflict", `Bind for ${formatHost(port)} failed: port is already allocated${by}`, {
    hint: `Choose another host port, or stop what holds ${port.hostPort}/${port.protocol}.`,
    details: { protocol: port.protocol, hostPort: port.hostPort, ...(holder === undefined ? {} : { holder }) },
    ...(cause === undefined ? {} : { cause }),
  });
}

function formatHost(port: PublishedPort): string {
  return port.hostAddress.includes(":")
    ? `[${port.hostAddress}]:${port.hostPort}`
    : `${port.hostAddress}:${port.hostPort}`;
}

function ephemeralRange(): readonly [number, number] {
  try {
    const [first, last] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "latin1")
      .trim()
      .split(/\s+/)
      .map(Number);
    if (first !== undefined && last !== undefined && first > 0 && last >= first) return [first, last];
  } catch {
    // Linux' default.
  }
  return [32768, 60999];
}
