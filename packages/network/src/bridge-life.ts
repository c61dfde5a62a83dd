import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { errorMessage, KeyedLock, type Logger } from "@slipway/base";
import { flock, NETLINK_ROUTE, NetlinkSocket } from "@slipway/sys";
import { checkHostRoutes } from "./addresses/address-pools.ts";
import { blockOf } from "./addresses/ip-block.ts";
import { type BridgePlace, formatAddress, type Subnet } from "./addresses/ipv4.ts";
import {
  type Bridge,
  ensureBridge,
  findBridge,
  type Ipv6Place,
  isOurs,
  listLinks,
  ownBridges,
  placeOf,
  removeLinks,
} from "./bridge.ts";
import type { EndpointTable } from "./endpoint-table.ts";
import { Firewall } from "./firewall/firewall.ts";
import { leaveForeignFirewalls, passForeignFirewalls } from "./firewall/foreign-firewall.ts";
import { bridgeElements, familyOf, portElement } from "./firewall/ruleset.ts";
import { hostBlocks, hostRoutes } from "./kernel/host-routes.ts";
import type { SetElement } from "./kernel/nfnetlink.ts";
import { setUp, withHairpin, withoutNeighbours } from "./kernel/rtnetlink.ts";
import type { NetworkRecord, NetworkTable } from "./network-table.ts";

export interface BridgeLifeOptions {
  /** The network whose bridge exists only while somebody is on it. */
  readonly defaultNetworkId: string;
  readonly defaultBridge: string;
  readonly defaultPlace: BridgePlace | undefined;
  readonly ruleTable: string;
  readonly networks: NetworkTable;
  readonly endpoints: EndpointTable;
  readonly logger: Logger;
  /** Milliseconds. */
  readonly linger: number;
}

/** How often we look whether somebody flushed the rules of the machine; the question takes the kernel microseconds. */
const WATCH_INTERVAL = 5000;
/** Engines beside us choose their subnets one after another. */
const SETUP_LOCK = "/run/slipway-network.lock";

/**
 * The bridges and their rules.
 *
 * The default network's: absent -> present (first `with`) -> lingering (last endpoint gone) -> absent, or present again.
 * Those of other networks: present from `with` (at the latest, the end of `create`) to `remove`, and after a start again.
 * Making and removing exclude each other; using does not.
 */
export class BridgeLife {
  readonly firewall: Firewall;
  readonly #options: BridgeLifeOptions;
  readonly #lock = new KeyedLock();
  /** Bridges that are there, by network. */
  readonly #bridges = new Map<string, { readonly bridge: Bridge; readonly rules: readonly SetElement[] }>();
  /** Callers inside `with`, by network: their endpoints may have no rows yet. */
  readonly #users = new Map<string, number>();
  #lingering: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(options: BridgeLifeOptions) {
    this.#options = options;
    this.firewall = new Firewall(options.ruleTable, () => this.#rules(), options.logger);
  }

  #rules(): SetElement[] {
    const bridges = [...this.#bridges.values()].flatMap(({ rules }) => rules);
    const ports = this.#options.endpoints.forwards().flatMap(({ port, address, ipv6 }) => {
      const target = familyOf(port.hostAddress) === 4 ? formatAddress(address) : ipv6;
      // IPv6 to a container that has none goes through the listener that holds the port.
      return target === undefined ? [] : [portElement({ ...port, address: target })];
    });
    return [...bridges, ...ports];
  }

  /** Decides the default network's addresses before its first container: clients ask it for the host's address. */
  planDefault(): void {
    const { networks, defaultNetworkId, defaultBridge, defaultPlace } = this.#options;
    if (networks.get(defaultNetworkId).place !== undefined) return;
    try {
      const place = defaultPlace ?? placeOf(undefined, hostRoutes(), this.#reserved(defaultNetworkId));
      networks.setPlace(defaultNetworkId, defaultBridge, place);
    } catch (error) {
      this.#options.logger.warn("no addresses are free for the default network", { error: errorMessage(error) });
    }
  }

  /** Runs `work` while the network's bridge is there for sure. */
  async with<T>(networkId: string, work: (bridge: Bridge) => Promise<T>): Promise<T> {
    this.#users.set(networkId, (this.#users.get(networkId) ?? 0) + 1);
    try {
      return await work(await this.#present(networkId));
    } finally {
      const left = (this.#users.get(networkId) ?? 1) - 1;
      if (left > 0) this.#users.set(networkId, left);
      else this.#users.delete(networkId);
      this.letGo();
    }
  }

  async #present(networkId: string): Promise<Bridge> {
    return this.#standing(networkId) ?? (await this.#lock.with("bridges", () => this.#make(networkId)));
  }

  #standing(networkId: string): Bridge | undefined {
    const bridge = this.#bridges.get(networkId)?.bridge;
    return bridge !== undefined && isThere(bridge) && !this.firewall.lost ? bridge : undefined;
  }

  /**
   * Makes the bridge of a new network. `prepare` chooses its addresses and writes its row while no other engine of this
   * machine chooses any.
   */
  establish(prepare: () => NetworkRecord): Promise<NetworkRecord> {
    return this.#lock.with("bridges", async () => {
      const { network, bridge } = await withSetupLock(() => {
        const network = prepare();
        return { network, bridge: this.#ensureBridge(network) };
      });
      await this.#finish(network.id, bridge);
      return network;
    });
  }

  async #make(networkId: string): Promise<Bridge> {
    const standing = this.#standing(networkId);
    if (standing !== undefined) return standing;
    const { networks } = this.#options;
    const known = this.#bridges.get(networkId)?.bridge;
    const network = networks.get(networkId);
    const bridge =
      known !== undefined && isThere(known) ? known : await withSetupLock(() => this.#ensureBridge(network));
    if (network.predefined) this.#settle(network, bridge);
    return this.#finish(networkId, bridge);
  }

  /** While the default bridge was away, somebody else may have taken its block. Who runs keeps addresses that lead nowhere. */
  #settle(network: NetworkRecord, bridge: Bridge): void {
    const { networks, endpoints, logger } = this.#options;
    networks.setPlace(network.id, bridge.name, bridge);
    const { subnet } = networks.get(network.id);
    if (network.subnet !== undefined && network.subnet !== subnet && endpoints.isUsed(network.id)) {
      logger.error("another program has taken the addresses of running containers: restart them", {
        was: network.subnet,
        is: subnet,
      });
    }
  }

  /** Ports, rules, and what else a bridge needs. */
  async #finish(networkId: string, bridge: Bridge): Promise<Bridge> {
    const { networks, logger } = this.#options;
    this.#reattach(networkId, bridge);
    const { pools, internal, bridgeSettings } = networks.get(networkId);
    const subnets = pools.map((pool) => pool.subnet);
    const rules = bridgeElements({ bridge: bridge.name, subnets, internal, ...bridgeSettings });
    this.#bridges.set(networkId, { bridge, rules });
    await this.firewall.ensure();
    this.#watch ??= setInterval(() => this.#look(), WATCH_INTERVAL);
    this.#watch.unref();
    // Not waited for: it takes a process or two, and is for machines with another firewall only.
    void passForeignFirewalls(bridge.name, logger);
    return bridge;
  }

  #ensureBridge(network: NetworkRecord): Bridge {
    const { networks, logger, defaultBridge, defaultPlace } = this.#options;
    const { bridgeSettings, predefined, place, pools } = network;
    const name = predefined ? defaultBridge : (network.bridge ?? "");
    if (!predefined)
      checkHostRoutes(
        pools,
        hostBlocks().filter(({ device }) => device !== name),
      );
    const wish = {
      name,
      owner: networks.owner,
      place: predefined ? defaultPlace : place,
      lastPlace: place,
      ipv6: predefined ? undefined : ipv6PlaceOf(pools[1]),
      mtu: bridgeSettings.mtu,
      reserved: this.#reserved(network.id),
    };
    return { ...ensureBridge(wish, logger), communication: bridgeSettings.communication };
  }

  /** IPv4 blocks of the other networks, which after a reboot may have no routes yet. */
  #reserved(except: string): Subnet[] {
    return this.#options.networks
      .list()
      .flatMap(({ id, place }) => (id === except || place === undefined ? [] : [place.subnet]));
  }

  /** Interfaces of running containers that lost their bridge (somebody deleted it) become its ports again. */
  #reattach(networkId: string, bridge: Bridge): void {
    const endpoints = this.#options.endpoints.ofNetwork(networkId);
    if (endpoints.length === 0) return;
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    for (const { link } of endpoints) {
      const alone = bridge.communication ? [] : [withoutNeighbours(link)];
      socket.attempt([setUp(link, bridge.index), withHairpin(link), ...alone]);
    }
  }

  #look(): void {
    for (const [networkId, { bridge }] of this.#bridges) {
      if (this.#standing(networkId) !== undefined) continue;
      this.#options.logger.warn("a bridge or its rules were removed by another program, making them anew", {
        bridge: bridge.name,
      });
      this.with(networkId, async () => {}).catch((error) => {
        this.#options.logger.error("the network could not be repaired", { error: errorMessage(error) });
      });
    }
  }

  /** Says that an endpoint or a user less is there; when nobody is left on the default bridge, it goes after a while. */
  letGo(): void {
    if (!this.#bridges.has(this.#options.defaultNetworkId) || !this.#defaultUnused()) return;
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => {
      this.#removeDefault().catch((error) => {
        this.#options.logger.warn("the bridge could not be removed", { error: errorMessage(error) });
      });
    }, this.#options.linger);
  }

  #defaultUnused(): boolean {
    const { defaultNetworkId, endpoints } = this.#options;
    return !this.#users.has(defaultNetworkId) && !endpoints.isUsed(defaultNetworkId);
  }

  #removeDefault(): Promise<void> {
    const { defaultNetworkId } = this.#options;
    return this.#lock.with("bridges", async () => {
      const bridge = this.#bridges.get(defaultNetworkId)?.bridge;
      if (bridge !== undefined && this.#defaultUnused()) await this.#discard(defaultNetworkId, bridge.name);
    });
  }

  /** Removes the bridge of a network whose row is gone. */
  remove(networkId: string, name: string): Promise<void> {
    return this.#lock.with("bridges", async () => {
      const link = findBridge(name);
      const mine = link !== undefined && isOurs(link, this.#options.networks.owner);
      await this.#discard(networkId, mine ? name : undefined);
    });
  }

  /** The rules go first: without them a bridge that lives a moment longer lets nobody through that it should not. */
  async #discard(networkId: string, name: string | undefined): Promise<void> {
    this.#bridges.delete(networkId);
    if (this.#bridges.size > 0) await this.firewall.sync();
    else await this.#stopRules();
    if (name !== undefined) await Promise.all([removeLinks([name]), leaveForeignFirewalls(name)]);
  }

  async #stopRules(): Promise<void> {
    clearInterval(this.#watch);
    this.#watch = undefined;
    await this.firewall.remove();
  }

  /** After a start: finds what an earlier process left, makes what is missing, removes what nobody knows. */
  reconcile(): Promise<void> {
    return this.#lock.with("bridges", async () => {
      const { networks, endpoints, logger, defaultNetworkId } = this.#options;
      this.#bridges.clear();
      const needed = networks
        .list()
        .filter(({ id, driver }) => (id === defaultNetworkId ? endpoints.isUsed(id) : driver === "bridge"));
      for (const { id, name } of needed) {
        // One network that cannot be made must not keep the others from working.
        await this.#make(id).catch((error) => {
          logger.error("a network could not be made again", { network: name, error: errorMessage(error) });
        });
      }
      await this.#removeStrays(new Set(needed.map(({ id }) => networks.get(id).bridge ?? "")));
      if (this.#bridges.size === 0) await this.#stopRules();
    });
  }

  /** Our bridges that no row knows, and interfaces on our bridges that no row knows. */
  async #removeStrays(needed: ReadonlySet<string>): Promise<void> {
    const { networks, endpoints } = this.#options;
    const own = await withSetupLock(() => ownBridges(networks.owner));
    const doomed = own.filter((link) => !needed.has(link.name));
    const known = new Set(endpoints.all().map((endpoint) => endpoint.link));
    const ports = new Set(own.map((link) => link.index));
    const strays = listLinks().filter(
      ({ master, name }) => master !== undefined && ports.has(master) && !known.has(name),
    );
    await removeLinks([...strays, ...doomed].map((link) => link.name));
    await Promise.all(doomed.map((link) => leaveForeignFirewalls(link.name)));
  }

  /** Bridges and rules stay, the default one only if containers run on it. */
  async close(): Promise<void> {
    clearTimeout(this.#lingering);
    clearInterval(this.#watch);
    this.#watch = undefined;
    if (this.#defaultUnused()) await this.#removeDefault();
    clearInterval(this.#watch);
    this.#watch = undefined;
  }
}

/** Holds the lock of all engines of this machine. */
async function withSetupLock<T>(work: () => T): Promise<T> {
  const lock = openSync(SETUP_LOCK, "w", 0o600);
  try {
    // Held by others for a millisecond or two. One who holds it longer is stuck, and no reason to be stuck as well.
    for (let attempt = 0; attempt < 100 && !flock(lock); attempt++) await Bun.sleep(5);
    return work();
  } finally {
    closeSync(lock);
  }
}

function ipv6PlaceOf(pool: { readonly subnet: string; readonly gateway?: string } | undefined): Ipv6Place | undefined {
  if (pool?.gateway === undefined) return undefined;
  return { address: pool.gateway, prefixLength: blockOf(pool.subnet).prefixLength };
}

function isThere(bridge: Bridge): boolean {
  const path = `/sys/class/net/${bridge.name}/ifindex`;
  try {
    return existsSync(path) && Number(readFileSync(path, "latin1")) === bridge.index;
  } catch {
    return false;
  }
}
