import type { Database } from "bun:sqlite";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, KeyedLock, type Logger, SlipwayError, shortId, silentLogger } from "@slipway/base";
import { removeNetworkNamespace } from "@slipway/sys";
import type { Bridge } from "./bridge.ts";
import { BridgeLife } from "./bridge-life.ts";
import type { AttachRequest, NetworkInfo, Networks, PublishedPort, Sandbox } from "./faces.ts";
import { macOfAddress, parsePlace } from "./ipv4.ts";
import { endNamespace, isNamespace, makeIsolated, makeSandbox } from "./namespace.ts";
import { type EndpointRecord, NetworkTable, wantedAddress } from "./network-table.ts";
import { PublishedPorts } from "./published-ports.ts";

export interface NetworkOptions {
  /** With the tables of `networkMigrations`. */
  readonly database: Database;
  /** Namespaces live below it, in `netns`. */
  readonly execRoot: string;
  /** Name of the default bridge; engines on one machine need different ones. `slipway0` when absent. */
  readonly bridge?: string;
  /** Address of the bridge and its subnet, as `172.18.0.1/16`; the first of Docker's pools that no route touches when absent. */
  readonly bip?: string;
  /** Name of our nft table; `slipway`, or one made of the bridge's name if that is not the default. */
  readonly table?: string;
  readonly logger?: Logger;
  /** Milliseconds that bridge and table outlive their last container, because often the next is about to start. */
  readonly linger?: number;
}

const DEFAULT_BRIDGE = "slipway0";

/** Opens the networks. Nothing is made in the kernel before the first container; `reconcile` cleans up after a crash. */
export function openNetworks(options: NetworkOptions): Networks {
  const { logger = silentLogger, bridge = DEFAULT_BRIDGE, linger = 500 } = options;
  const table = new NetworkTable(options.database);
  const network = table.find("bridge");
  if (network === undefined) throw new SlipwayError("internal", "the default network is missing in the database");
  const life = new BridgeLife({
    networkId: network.id,
    bridge,
    ruleTable:
      options.table ?? (bridge === DEFAULT_BRIDGE ? "slipway" : `slipway_${bridge.replace(/[^A-Za-z0-9_]/g, "_")}`),
    place: options.bip === undefined || options.bip === "" ? undefined : parsePlace(options.bip),
    table,
    logger,
    linger,
  });
  const directory = join(options.execRoot, "netns");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return new BridgedNetworks({ table, life, ports: new PublishedPorts(table, logger), directory, logger });
}

interface Parts {
  readonly table: NetworkTable;
  readonly life: BridgeLife;
  readonly ports: PublishedPorts;
  readonly directory: string;
  readonly logger: Logger;
}

class BridgedNetworks implements Networks {
  readonly #table: NetworkTable;
  readonly #life: BridgeLife;
  readonly #ports: PublishedPorts;
  readonly #directory: string;
  readonly #logger: Logger;
  readonly #locks = new KeyedLock();
  /** The kernel keeps us for a millisecond for each container: of many at once, one a turn of the event loop. */
  readonly #turns = new KeyedLock();

  constructor(parts: Parts) {
    this.#table = parts.table;
    this.#life = parts.life;
    this.#ports = parts.ports;
    this.#directory = parts.directory;
    this.#logger = parts.logger;
  }

  list(): NetworkInfo[] {
    return this.#table.list();
  }

  find(nameOrId: string): NetworkInfo | undefined {
    return this.#table.find(nameOrId === "default" ? "bridge" : nameOrId);
  }

  sandbox(containerId: string): Sandbox | undefined {
    return this.#table.sandbox(containerId);
  }

  async connect(request: AttachRequest, signal?: AbortSignal): Promise<Sandbox> {
    const network = this.#bridged(request.network);
    checkMac(request.macAddress);
    const attach = async (): Promise<Sandbox> => {
      if (this.#table.sandboxPath(request.containerId) !== undefined) await this.#discard(request.containerId);
      try {
        return await this.#life.with((bridge) => this.#attach(request, network, bridge, signal));
      } catch (error) {
        await this.#discard(request.containerId);
        throw error;
      }
    };
    return this.#locks.with(request.containerId, attach, signal);
  }

  #bridged(name: string): NetworkInfo {
    const network = this.find(name);
    if (network === undefined) throw new SlipwayError("not-found", `network ${name} not found`);
    if (network.driver === "bridge") return network;
    throw new SlipwayError(
      "invalid",
      `network ${network.name} has no addresses to give: nothing can be attached to it`,
    );
  }

  /** Ports, then rows, then the kernel, then the rules: what a crash leaves at any point has a row, or ends with the process. */
  async #attach(
    request: AttachRequest,
    network: NetworkInfo,
    bridge: Bridge,
    signal: AbortSignal | undefined,
  ): Promise<Sandbox> {
    const ports = request.ports.length === 0 ? [] : await this.#ports.acquire(request.containerId, request.ports);
    signal?.throwIfAborted();
    const path = this.#pathOf(request.containerId);
    const endpoint = await this.#turns.with("kernel", async () => {
      await nextTurn();
      return this.#makeEndpoint(request, { network, bridge, ports, path });
    });
    if (ports.length > 0) {
      this.#ports.forward(endpoint);
      await this.#life.firewall.sync();
    }
    signal?.throwIfAborted();
    return { namespacePath: path, endpoints: [endpoint] };
  }

  #makeEndpoint(
    request: AttachRequest,
    place: {
      readonly network: NetworkInfo;
      readonly bridge: Bridge;
      readonly ports: readonly PublishedPort[];
      readonly path: string;
    },
  ): EndpointRecord {
    const { network, bridge, ports, path } = place;
    const endpoint = this.#table.addEndpoint({
      containerId: request.containerId,
      path,
      network,
      place: bridge,
      address: wantedAddress(request.address),
      mac: request.macAddress === "" ? undefined : request.macAddress,
      macOf: macOfAddress,
      ports,
    });
    // A file without a row is what a crash of the machine left: the row is younger.
    removeNetworkNamespace(path);
    makeSandbox(path, endpoint, bridge);
    return endpoint;
  }

  isolate(containerId: string): Promise<Sandbox> {
    return this.#locks.with(containerId, async () => {
      if (this.#table.sandboxPath(containerId) !== undefined) await this.#discard(containerId);
      const path = this.#pathOf(containerId);
      this.#table.addIsolated(containerId, path);
      try {
        removeNetworkNamespace(path);
        makeIsolated(path);
      } catch (error) {
        await this.#discard(containerId);
        throw error;
      }
      return { namespacePath: path, endpoints: [] };
    });
  }

  release(containerId: string): Promise<void> {
    return this.#locks.with(containerId, () => this.#discard(containerId));
  }

  /** The rules go before the address is free, or they would send somebody else's visitors to its next owner. */
  async #discard(containerId: string): Promise<void> {
    await this.#ports.release(containerId);
    const path = this.#table.sandboxPath(containerId);
    if (path === undefined) return;
    const endpoints = this.#table.endpoints(containerId);
    await this.#turns.with("kernel", async () => {
      await nextTurn();
      endNamespace(path, endpoints);
    });
    if (endpoints.some((endpoint) => endpoint.ports.length > 0)) {
      this.#table.removePorts(containerId);
      // The kernel's maps are made equal to the rows again by the next change, if this one fails.
      await this.#life.firewall.sync().catch((error) => {
        this.#logger.warn("the rules of a released container could not be removed", { error: errorMessage(error) });
      });
    }
    this.#table.remove(containerId);
    if (endpoints.length > 0) this.#life.letGo();
  }

  async reconcile(running: ReadonlySet<string>): Promise<void> {
    for (const containerId of this.#table.containers()) {
      const path = this.#table.sandboxPath(containerId);
      if (!running.has(containerId)) await this.release(containerId);
      else if (path === undefined || !isNamespace(path)) {
        this.#logger.warn("a running container has lost its network", { container: shortId(containerId) });
        await this.release(containerId);
      }
    }
    this.#removeStrayNamespaces();
    const endpoints: EndpointRecord[] = this.#table.endpoints();
    for (const endpoint of endpoints) if (endpoint.ports.length > 0) await this.#ports.restore(endpoint);
    await this.#life.reconcile();
  }

  #removeStrayNamespaces(): void {
    const known = new Set(this.#table.containers().map((each) => this.#table.sandboxPath(each)));
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      if (!known.has(path)) removeNetworkNamespace(path);
    }
  }

  async close(): Promise<void> {
    await this.#ports.close();
    await this.#life.close();
  }

  #pathOf(containerId: string): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(containerId))
      throw new SlipwayError("invalid", `invalid container ID ${containerId}`);
    return join(this.#directory, containerId);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
