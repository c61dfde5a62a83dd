import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { errorMessage, KeyedLock, type Logger } from "@slipway/base";
import { flock, NETLINK_ROUTE, NetlinkSocket } from "@slipway/sys";
import { type Bridge, ensureBridge, findBridge, isOurs, listLinks, removeLinks } from "./bridge.ts";
import { Firewall } from "./firewall.ts";
import { leaveForeignFirewalls, passForeignFirewalls } from "./foreign-firewall.ts";
import { type BridgePlace, formatSubnet } from "./ipv4.ts";
import type { NetworkTable } from "./network-table.ts";
import { type Link, setUp, withHairpin } from "./rtnetlink.ts";

export interface BridgeLifeOptions {
  readonly networkId: string;
  readonly bridge: string;
  readonly ruleTable: string;
  readonly place: BridgePlace | undefined;
  readonly table: NetworkTable;
  readonly logger: Logger;
  /** Milliseconds. */
  readonly linger: number;
}

/** How often we look whether somebody flushed the rules of the machine; the question takes the kernel microseconds. */
const WATCH_INTERVAL = 5000;
/** Engines beside us choose their subnets one after another. */
const SETUP_LOCK = "/run/slipway-network.lock";

/**
 * The bridge and the rules, from the first container on it to shortly after the last.
 *
 * absent -> present (first `with`) -> lingering (last endpoint gone) -> absent, or present again. Making and removing
 * exclude each other; using it does not.
 */
export class BridgeLife {
  readonly firewall: Firewall;
  readonly #options: BridgeLifeOptions;
  readonly #lock = new KeyedLock();
  #bridge: Bridge | undefined;
  /** The making of the table that is there now. */
  #rules: Promise<void> | undefined;
  /** Callers inside `with`: their endpoints may have no rows yet. */
  #users = 0;
  #lingering: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(options: BridgeLifeOptions) {
    this.#options = options;
    this.firewall = new Firewall(
      () => options.table.endpoints().flatMap(({ address, ports }) => ports.map((port) => ({ ...port, address }))),
      options.logger,
    );
  }

  /** Runs `work` while the bridge is there for sure. */
  async with<T>(work: (bridge: Bridge) => Promise<T>): Promise<T> {
    this.#users++;
    try {
      const result = await work(await this.#present());
      await this.#rules;
      return result;
    } finally {
      this.#users--;
      this.letGo();
    }
  }

  async #present(): Promise<Bridge> {
    const bridge = this.#bridge;
    if (bridge !== undefined && isThere(bridge) && !this.firewall.lost) return bridge;
    return this.#lock.with("bridge", () => this.#make());
  }

  async #make(): Promise<Bridge> {
    if (this.#bridge !== undefined && isThere(this.#bridge) && !this.firewall.lost) return this.#bridge;
    const { table, networkId, logger } = this.#options;
    const bridge = await this.#makeBridge();
    table.setPlace(networkId, bridge.name, bridge);
    this.#reattach(bridge);
    await this.firewall.install({
      table: this.#options.ruleTable,
      bridge: bridge.name,
      subnet: formatSubnet(bridge.subnet),
    });
    this.#bridge = bridge;
    this.#watch ??= setInterval(() => this.#look(), WATCH_INTERVAL);
    this.#watch.unref();
    // Not waited for: it takes a process or two, and is for machines with another firewall only.
    void passForeignFirewalls(bridge.name, logger);
    return bridge;
  }

  async #makeBridge(): Promise<Bridge> {
    const { table, networkId, logger, place } = this.#options;
    const lock = openSync(SETUP_LOCK, "w", 0o600);
    try {
      // Held by others for a millisecond or two. One who holds it longer is stuck, and no reason to be stuck as well.
      for (let attempt = 0; attempt < 100 && !flock(lock); attempt++) await Bun.sleep(5);
      const lastPlace = table.place(networkId);
      return ensureBridge({ name: this.#options.bridge, owner: table.owner, place, lastPlace }, logger);
    } finally {
      closeSync(lock);
    }
  }

  /** Interfaces of running containers that lost their bridge (somebody deleted it) become its ports again. */
  #reattach(bridge: Bridge): void {
    const endpoints = this.#options.table.endpoints();
    if (endpoints.length === 0) return;
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    socket.attempt(endpoints.flatMap(({ link }) => [setUp(link, bridge.index), withHairpin(link)]));
  }

  #look(): void {
    if (this.#bridge === undefined || (isThere(this.#bridge) && !this.firewall.lost)) return;
    this.#options.logger.warn("the bridge or its rules were removed by another program, making them anew");
    this.with(async () => {}).catch((error) => {
      this.#options.logger.error("the network could not be repaired", { error: errorMessage(error) });
    });
  }

  /** Says that an endpoint or a user less is there; when nobody is left, bridge and rules go after a while. */
  letGo(): void {
    if (this.#bridge === undefined || !this.#unused()) return;
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => {
      this.#remove().catch((error) => {
        this.#options.logger.warn("the bridge could not be removed", { error: errorMessage(error) });
      });
    }, this.#options.linger);
  }

  #unused(): boolean {
    return this.#users === 0 && this.#options.table.endpoints().length === 0;
  }

  #remove(): Promise<void> {
    return this.#lock.with("bridge", async () => {
      if (this.#bridge !== undefined && this.#unused()) await this.#removeAll();
    });
  }

  /** After a start: finds what an earlier process left, repairs it if containers are on it, else removes it. */
  reconcile(): Promise<void> {
    return this.#lock.with("bridge", async () => {
      const { bridge: name, table, logger } = this.#options;
      const known = new Set(table.endpoints().map((endpoint) => endpoint.link));
      if (known.size > 0) {
        this.#bridge = undefined;
        await this.#make();
        await this.#rules;
      }
      const link = findBridge(name);
      if (link !== undefined && !isOurs(link, table.owner)) {
        logger.debug("the bridge belongs to another engine", { bridge: name, owner: link.alias });
        return;
      }
      if (link !== undefined) await removeStrays(link, known);
      if (this.#unused()) await this.#removeAll();
    });
  }

  async #removeAll(): Promise<void> {
    const { bridge: name, ruleTable } = this.#options;
    clearTimeout(this.#lingering);
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#bridge = undefined;
    this.firewall.forget();
    await this.#rules?.catch(() => {});
    this.#rules = undefined;
    this.firewall.removeTable(ruleTable);
    await Promise.all([removeLinks([name]), leaveForeignFirewalls(name)]);
  }

  /** Bridge and rules stay if containers run on. */
  async close(): Promise<void> {
    clearTimeout(this.#lingering);
    clearInterval(this.#watch);
    this.#watch = undefined;
    if (this.#bridge !== undefined && this.#unused()) await this.#remove();
  }
}

/** Interfaces on our bridge that no row knows. */
async function removeStrays(bridge: Link, known: ReadonlySet<string>): Promise<void> {
  const strays = listLinks().filter((link) => link.master === bridge.index && !known.has(link.name));
  await removeLinks(strays.map((link) => link.name));
}

function isThere(bridge: Bridge): boolean {
  const path = `/sys/class/net/${bridge.name}/ifindex`;
  try {
    return existsSync(path) && Number(readFileSync(path, "latin1")) === bridge.index;
  } catch {
    return false;
  }
}
