import { join } from "node:path";
import { errorMessage, KeyedLock, type Logger, SlipwayError, shortId } from "@slipway/base";
import { removeNetworkNamespace } from "@slipway/sys";
import { gatewaysOf } from "./addresses/gateways.ts";
import { blockContains, blockOf, parseIp } from "./addresses/ip-block.ts";
import { type Bridge, listLinks, removeLinks } from "./bridge.ts";
import type { BridgeLife } from "./bridge-life.ts";
import { type ContainerDns, RESOLVER_ADDRESS } from "./dns/container-dns.ts";
import type { EndpointRecord, EndpointTable } from "./endpoint-table.ts";
import type { AttachRequest, ContainerNetworks, PublishedPort, Sandbox } from "./faces.ts";
import { forgetUdp } from "./kernel/conntrack.ts";
import {
  attachInterface,
  endNamespace,
  isNamespace,
  makeIsolated,
  makeSandbox,
  silenceInterface,
} from "./kernel/namespace.ts";
import type { Catalog } from "./network-catalog.ts";
import { readEndpointOptions } from "./network-options.ts";
import type { NetworkRecord } from "./network-table.ts";
import type { PublishedPorts } from "./ports/published-ports.ts";

export interface ContainerParts {
  readonly endpoints: EndpointTable;
  readonly catalog: Catalog;
  readonly life: BridgeLife;
  readonly ports: PublishedPorts;
  readonly dns: ContainerDns;
  /** Of the namespaces' files. */
  readonly directory: string;
  readonly logger: Logger;
}

/** Namespaces of containers and what is in them. */
export class Containers implements ContainerNetworks {
  readonly #parts: ContainerParts;
  readonly #locks = new KeyedLock();
  /** The kernel keeps us for a millisecond for each container: of many at once, one a turn of the event loop. */
  readonly #turns = new KeyedLock();

  constructor(parts: ContainerParts) {
    this.#parts = parts;
  }

  sandbox(containerId: string): Sandbox | undefined {
    const { endpoints } = this.#parts;
    const path = endpoints.sandboxPath(containerId);
    return path === undefined ? undefined : sandboxOf(path, endpoints.ofContainer(containerId));
  }

  connect(request: AttachRequest, signal?: AbortSignal): Promise<Sandbox> {
    const { catalog, endpoints, life } = this.#parts;
    const attach = async (): Promise<Sandbox> => {
      const network = checkRequest(catalog, request);
      const { containerId } = request;
      if (endpoints.sandboxPath(containerId) !== undefined) await this.#discard(containerId);
      try {
        return await life.with(network.id, (bridge) => this.#attach(request, { network, bridge }, signal));
      } catch (error) {
        await this.#discard(containerId);
        throw error;
      }
    };
    return this.#locks.with(request.containerId, attach, signal);
  }

  /** Ports, then rows, then the kernel, then the rules: what a crash leaves at any point has a row, or ends with the process. */
  async #attach(
    request: AttachRequest,
    place: { readonly network: NetworkRecord; readonly bridge: Bridge },
    signal: AbortSignal | undefined,
  ): Promise<Sandbox> {
    const { endpoints, ports: published, life, dns } = this.#parts;
    const { network, bridge } = place;
    const { containerId } = request;
    const wanted = portsOn(network, request.ports);
    const ports = wanted.length === 0 ? [] : await published.acquire(containerId, wanted);
    signal?.throwIfAborted();
    const path = this.#pathOf(containerId);
    const endpoint = await this.#kernel(() => {
      const endpoint = endpoints.add({ request, networkId: network.id, path, ports });
      // A file without a row is what a crash of the machine left: the row is younger.
      removeNetworkNamespace(path);
      const routes = { before: gatewaysOf([]), after: gatewaysOf([endpoint]) };
      makeSandbox(path, endpoint, { bridge, routes });
      return endpoint;
    });
    if (endpoint.custom) await dns.serve(containerId, path);
    if (ports.length > 0) {
      published.forward(endpoint);
      await life.firewall.sync();
      forgetUdp(ports);
    }
    signal?.throwIfAborted();
    return sandboxOf(path, [endpoint]);
  }

  isolate(containerId: string): Promise<Sandbox> {
    const { endpoints } = this.#parts;
    return this.#locks.with(containerId, async () => {
      if (endpoints.sandboxPath(containerId) !== undefined) await this.#discard(containerId);
      const path = this.#pathOf(containerId);
      endpoints.addSandbox(containerId, path);
      try {
        removeNetworkNamespace(path);
        makeIsolated(path);
      } catch (error) {
        await this.#discard(containerId);
        throw error;
      }
      return sandboxOf(path, []);
    });
  }

  connectEndpoint(request: AttachRequest, signal?: AbortSignal): Promise<Sandbox> {
    const { catalog, endpoints, life } = this.#parts;
    const { containerId } = request;
    const add = async (): Promise<Sandbox> => {
      const network = checkRequest(catalog, request);
      const path = endpoints.sandboxPath(containerId);
      if (path === undefined) {
        throw new SlipwayError("not-found", `container ${shortId(containerId)} has no network namespace to connect`);
      }
      return life.with(network.id, async (bridge) => {
        signal?.throwIfAborted();
        await this.#addEndpoint(request, { network, bridge, path });
        return sandboxOf(path, endpoints.ofContainer(containerId));
      });
    };
    return this.#locks.with(containerId, add, signal);
  }

  async #addEndpoint(
    request: AttachRequest,
    place: { readonly network: NetworkRecord; readonly bridge: Bridge; readonly path: string },
  ): Promise<void> {
    const { endpoints } = this.#parts;
    const { network, bridge, path } = place;
    const { containerId } = request;
    const before = endpoints.ofContainer(containerId);
    const endpoint = endpoints.add({ request, networkId: network.id, ports: [] });
    try {
      await this.#kernel(() => {
        const routes = { before: gatewaysOf(before), after: gatewaysOf([...before, endpoint]) };
        attachInterface(path, endpoint, { bridge, routes });
      });
      if (request.nameservers !== undefined) endpoints.setNameservers(containerId, request.nameservers);
      endpoints.setReady(endpoint.id, true);
      await this.#publishLate(request, network);
      await this.#settlePorts(containerId);
      await this.#serveNames(containerId, path);
    } catch (error) {
      await this.#removeEndpoint(path, endpoint);
      throw error;
    }
  }

  /** Ports of a container that had no endpoint to publish them on. */
  async #publishLate(request: AttachRequest, network: NetworkRecord): Promise<void> {
    const { endpoints, ports: published } = this.#parts;
    const { containerId } = request;
    const mine = endpoints.ofContainer(containerId);
    const { endpoint } = gatewaysOf(mine);
    if (endpoint === undefined || mine.some(({ ports }) => ports.length > 0)) return;
    const wanted = portsOn(network, request.ports);
    if (wanted.length === 0) return;
    const ports = await published.acquire(containerId, wanted);
    endpoints.addPorts(endpoint.id, ports);
    published.forward(endpoint);
    await this.#parts.life.firewall.sync();
    forgetUdp(ports);
  }

  /** The answers to what comes in through a published port leave by the default route, so that is where ports lead. */
  async #settlePorts(containerId: string): Promise<void> {
    const { endpoints, ports: published, life } = this.#parts;
    const all = endpoints.ofContainer(containerId);
    const holder = all.find(({ ports }) => ports.length > 0);
    const { endpoint } = gatewaysOf(all.filter(({ ready }) => ready));
    if (holder === undefined || holder.id === endpoint?.id) return;
    if (endpoint === undefined) {
      endpoints.removePorts(containerId);
      await life.firewall.sync();
      await published.release(containerId);
    } else {
      endpoints.movePorts(containerId, endpoint.id);
      published.forward(endpoint);
      await life.firewall.sync();
    }
    forgetUdp(holder.ports);
  }

  disconnectEndpoint(containerId: string, network: string): Promise<Sandbox> {
    const { catalog, endpoints } = this.#parts;
    return this.#locks.with(containerId, async () => {
      const { id, name } = catalog.get(network);
      const path = endpoints.sandboxPath(containerId);
      const endpoint = endpoints.ofContainer(containerId).find((each) => each.networkId === id);
      if (path === undefined || endpoint === undefined) {
        throw new SlipwayError("forbidden", `container ${shortId(containerId)} is not connected to network ${name}`);
      }
      await this.#removeEndpoint(path, endpoint);
      return sandboxOf(path, endpoints.ofContainer(containerId));
    });
  }

  /** Names and ports go before the address is free, as in `#discard`. */
  async #removeEndpoint(path: string, endpoint: EndpointRecord): Promise<void> {
    const { endpoints, life } = this.#parts;
    const { containerId } = endpoint;
    endpoints.setReady(endpoint.id, false);
    await this.#serveNames(containerId, path);
    await this.#settlePorts(containerId);
    const all = endpoints.ofContainer(containerId);
    const rest = all.filter(({ id }) => id !== endpoint.id);
    await this.#kernel(() => {
      try {
        silenceInterface(path, endpoint, { before: gatewaysOf(all), after: gatewaysOf(rest) });
      } catch (error) {
        // The namespace is gone, or its root user has changed it: the interface goes all the same.
        this.#parts.logger.debug("an interface could not be silenced", { error: errorMessage(error) });
      }
    });
    await removeLinks([endpoint.link]);
    endpoints.removeEndpoint(endpoint.id);
    life.letGo();
  }

  /** Does nothing once the endpoint is gone: a container that has ended may be renamed while its network is released. */
  rename(containerId: string, network: string, names: readonly string[]): void {
    const { endpoints, dns } = this.#parts;
    const endpoint = endpoints
      .ofContainer(containerId)
      .find(({ networkId, networkName }) => networkId === network || networkName === network);
    if (endpoint === undefined) return;
    endpoints.setNames(endpoint.id, names);
    dns.refresh(containerId);
  }

  release(containerId: string): Promise<void> {
    return this.#locks.with(containerId, () => this.#discard(containerId));
  }

  /** The rules go before the address is free, or they would send somebody else's visitors to its next owner. */
  async #discard(containerId: string): Promise<void> {
    const { endpoints: table, ports, life, logger, dns } = this.#parts;
    dns.stop(containerId);
    await ports.release(containerId);
    const path = table.sandboxPath(containerId);
    if (path === undefined) return;
    const endpoints = table.ofContainer(containerId);
    await this.#kernel(() => endNamespace(path, endpoints));
    if (endpoints.some((endpoint) => endpoint.ports.length > 0)) {
      table.removePorts(containerId);
      // The kernel's maps are made equal to the rows again by the next change, if this one fails.
      await life.firewall.sync().catch((error) => {
        logger.warn("the rules of a released container could not be removed", { error: errorMessage(error) });
      });
      forgetUdp(endpoints.flatMap((endpoint) => endpoint.ports));
    }
    table.remove(containerId);
    if (endpoints.length > 0) life.letGo();
  }

  /** Ends what does not run, and what a crash left half-made in what does. */
  async endStale(running: ReadonlySet<string>): Promise<void> {
    const { endpoints, logger } = this.#parts;
    for (const containerId of endpoints.containers()) {
      const path = endpoints.sandboxPath(containerId);
      if (!running.has(containerId)) await this.release(containerId);
      else if (path === undefined || !isNamespace(path)) {
        logger.warn("a running container has lost its network", { container: shortId(containerId) });
        await this.release(containerId);
      } else await this.#locks.with(containerId, () => this.#finishHalfMade(containerId, path));
    }
  }

  async #finishHalfMade(containerId: string, path: string): Promise<void> {
    const half = this.#parts.endpoints.ofContainer(containerId).filter(({ ready }) => !ready);
    for (const endpoint of half) await this.#removeEndpoint(path, endpoint);
    await this.#settlePorts(containerId);
  }

  /** After a start: ports, names, and interfaces that somebody deleted. The bridges are there. */
  async restore(): Promise<void> {
    const { endpoints, ports, logger } = this.#parts;
    for (const endpoint of endpoints.publishing()) await ports.restore(endpoint);
    const links = new Set(listLinks().map(({ name }) => name));
    for (const containerId of endpoints.containers()) {
      await this.#locks.with(containerId, async () => {
        const path = endpoints.sandboxPath(containerId);
        if (path === undefined) return;
        try {
          for (const endpoint of endpoints.ofContainer(containerId)) {
            if (!links.has(endpoint.link)) await this.#replaceInterface(path, endpoint);
          }
          await this.#kernel(() => {});
          await this.#serveNames(containerId, path);
        } catch (error) {
          const container = shortId(containerId);
          logger.error("a container's network could not be repaired", { container, error: errorMessage(error) });
        }
      });
    }
  }

  async #replaceInterface(path: string, endpoint: EndpointRecord): Promise<void> {
    const { endpoints, life, logger } = this.#parts;
    logger.warn("a container has lost an interface, making it anew", { container: shortId(endpoint.containerId) });
    await life.with(endpoint.networkId, (bridge) =>
      this.#kernel(() => {
        const after = gatewaysOf(endpoints.ofContainer(endpoint.containerId));
        attachInterface(path, endpoint, { bridge, routes: { before: gatewaysOf([]), after } });
      }),
    );
  }

  async #serveNames(containerId: string, path: string): Promise<void> {
    const { endpoints, dns } = this.#parts;
    const isNamed = endpoints.ofContainer(containerId).some(({ custom, ready }) => custom && ready);
    if (isNamed) await dns.serve(containerId, path);
    else dns.stop(containerId);
  }

  paths(): Set<string | undefined> {
    const { endpoints } = this.#parts;
    return new Set(endpoints.containers().map((each) => endpoints.sandboxPath(each)));
  }

  #kernel<T>(work: () => T): Promise<T> {
    return this.#turns.with("kernel", async () => {
      await new Promise<void>((resolve) => setImmediate(resolve));
      return work();
    });
  }

  #pathOf(containerId: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(containerId))
      throw new SlipwayError("invalid", `invalid container ID ${containerId}`);
    return join(this.#parts.directory, containerId);
  }
}

function sandboxOf(namespacePath: string, endpoints: readonly EndpointRecord[]): Sandbox {
  const isNamed = endpoints.some(({ custom }) => custom);
  return { namespacePath, endpoints, ...(isNamed ? { nameserver: RESOLVER_ADDRESS } : {}) };
}

/** What is known to be wrong before anything is changed. */
function checkRequest(catalog: Catalog, request: AttachRequest): NetworkRecord {
  const network = catalog.get(request.network);
  if (network.driver !== "bridge") {
    throw new SlipwayError(
      "invalid",
      `network ${network.name} has no addresses to give: nothing can be attached to it`,
    );
  }
  checkMac(request.macAddress);
  readEndpointOptions(request.options ?? {});
  for (const address of request.linkLocal ?? []) checkLinkLocal(address);
  return network;
}

/** Without an address a port is published where the network says, or everywhere; on an internal network nowhere. */
function portsOn(network: NetworkRecord, wanted: readonly PublishedPort[]): PublishedPort[] {
  if (network.internal) return [];
  const { hostBinding } = network.bridgeSettings;
  const everywhere = hostBinding === undefined ? ["0.0.0.0", "::"] : [hostBinding];
  return wanted.flatMap((port) =>
    port.hostAddress === "" ? everywhere.map((hostAddress) => ({ ...port, hostAddress })) : [port],
  );
}

function checkLinkLocal(text: string): void {
  const address = parseIp(text);
  const block = blockOf(address?.family === 6 ? "fe80::/10" : "169.254.0.0/16");
  if (address !== undefined && blockContains(block, address)) return;
  throw new SlipwayError("invalid", `invalid link local IP address: ${text}`, {
    hint: "Choose one of 169.254.0.0/16 or fe80::/10.",
  });
}

function checkMac(text: string | undefined): void {
  if (text === undefined || text === "") return;
  const isUnicast = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i.test(text);
  if (!isUnicast || /^(00:){5}00$/.test(text)) {
    throw new SlipwayError("invalid", `${text} is not a hardware address that an interface can have`, {
      hint: "Write six pairs of hexadecimal digits, the first even: 02:42:ac:11:00:02.",
    });
  }
}
