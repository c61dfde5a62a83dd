import type { Database } from "bun:sqlite";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Logger, SlipwayError, silentLogger } from "@slipway/base";
import { removeNetworkNamespace } from "@slipway/sys";
import { parsePlace } from "./addresses/ipv4.ts";
import { BridgeLife } from "./bridge-life.ts";
import { Containers } from "./container-networks.ts";
import { ContainerDns } from "./dns/container-dns.ts";
import type { NameServer } from "./dns/dns-upstream.ts";
import { watchHostNameservers } from "./dns/host-nameservers.ts";
import { EndpointTable } from "./endpoint-table.ts";
import type { Networks } from "./faces.ts";
import { Catalog } from "./network-catalog.ts";
import { NetworkTable } from "./network-table.ts";
import { PublishedPorts } from "./ports/published-ports.ts";

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
  /** Whom the containers' resolver asks for names that are not ours; the servers of `/etc/resolv.conf` when absent. */
  readonly nameservers?: () => readonly NameServer[];
  readonly logger?: Logger;
  /** Milliseconds that the default bridge outlives its last container, because often the next is about to start. */
  readonly linger?: number;
}

const DEFAULT_BRIDGE = "slipway0";

/** Opens the networks. Nothing is made in the kernel before it is needed; `reconcile` cleans up after a crash. */
export function openNetworks(options: NetworkOptions): Networks {
  const { logger = silentLogger, bridge = DEFAULT_BRIDGE, linger = 500, database } = options;
  const networks = new NetworkTable(database);
  const endpoints = new EndpointTable(database, networks);
  const network = networks.find("bridge");
  if (network === undefined) throw new SlipwayError("internal", "the default network is missing in the database");
  const life = new BridgeLife({
    defaultNetworkId: network.id,
    defaultBridge: bridge,
    defaultPlace: options.bip === undefined || options.bip === "" ? undefined : parsePlace(options.bip),
    ruleTable:
      options.table ?? (bridge === DEFAULT_BRIDGE ? "slipway" : `slipway_${bridge.replace(/[^A-Za-z0-9_]/g, "_")}`),
    networks,
    endpoints,
    logger,
    linger,
  });
  const directory = join(options.execRoot, "netns");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const catalog = new Catalog({ networks, endpoints, life, defaultBridge: bridge });
  const ports = new PublishedPorts(endpoints, (address) => !catalog.isInternal(address), logger);
  const dns = new ContainerDns(endpoints, options.nameservers ?? watchHostNameservers(), logger);
  const containers = new Containers({ endpoints, catalog, life, ports, dns, directory, logger });
  return {
    list: () => catalog.list(),
    find: (nameOrId) => catalog.find(nameOrId),
    create: (request) => catalog.create(request),
    remove: (nameOrId) => catalog.remove(nameOrId),
    unused: (filter) => catalog.unused(filter),
    prune: (filter) => catalog.prune(filter),
    members: (nameOrId) => catalog.members(nameOrId),
    connect: (request, signal) => containers.connect(request, signal),
    isolate: (containerId) => containers.isolate(containerId),
    connectEndpoint: (request, signal) => containers.connectEndpoint(request, signal),
    disconnectEndpoint: (containerId, name) => containers.disconnectEndpoint(containerId, name),
    rename: (containerId, name, names) => containers.rename(containerId, name, names),
    release: (containerId) => containers.release(containerId),
    sandbox: (containerId) => containers.sandbox(containerId),
    async reconcile(running) {
      await containers.endStale(running);
      removeStrayNamespaces(directory, containers.paths());
      await life.reconcile();
      await containers.restore();
    },
    async close() {
      dns.close();
      await ports.close();
      await life.close();
    },
  };
}

/** Files without rows. */
function removeStrayNamespaces(directory: string, known: ReadonlySet<string | undefined>): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!known.has(path)) removeNetworkNamespace(path);
  }
}
