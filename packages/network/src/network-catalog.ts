import { didYouMean, KeyedLock, SlipwayError } from "@slipway/base";
import { planPools, type TakenBlock } from "./addresses/address-pools.ts";
import { blockContains, blockOf, parseIp } from "./addresses/ip-block.ts";
import type { BridgeLife } from "./bridge-life.ts";
import type { EndpointTable } from "./endpoint-table.ts";
import type { CreateNetwork, NetworkCatalog, NetworkInfo, NetworkMember } from "./faces.ts";
import { hostBlocks } from "./kernel/host-routes.ts";
import { readOptions } from "./network-options.ts";
import { isPredefined, type NetworkRecord, type NetworkTable, nameTaken } from "./network-table.ts";

export interface CatalogParts {
  readonly networks: NetworkTable;
  readonly endpoints: EndpointTable;
  readonly life: BridgeLife;
  readonly defaultBridge: string;
}

/**
 * Networks that users make and remove. A row is written before the bridge is made and removed before it: what a crash
 * leaves is a network without bridge, which gets one at the next start, or a bridge without row, which goes.
 */
export class Catalog implements NetworkCatalog {
  readonly #parts: CatalogParts;
  readonly #lock = new KeyedLock();

  constructor(parts: CatalogParts) {
    this.#parts = parts;
  }

  list(): NetworkRecord[] {
    this.#parts.life.planDefault();
    return this.#parts.networks.list();
  }

  find(nameOrId: string): NetworkRecord | undefined {
    this.#parts.life.planDefault();
    return this.#parts.networks.find(nameOrId === "default" ? "bridge" : nameOrId);
  }

  /** Throws `not-found`. */
  get(nameOrId: string): NetworkRecord {
    const network = this.find(nameOrId);
    if (network !== undefined) return network;
    const names = this.list().map((each) => each.name);
    throw new SlipwayError("not-found", `network ${nameOrId} not found`, didYouMean(nameOrId, names));
  }

  /** Whether an address is one of an internal network. */
  isInternal(text: string): boolean {
    const internal = this.list().filter((each) => each.internal);
    const address = internal.length === 0 ? undefined : parseIp(text);
    return (
      address !== undefined &&
      internal.some(({ pools }) => pools.some(({ subnet }) => blockContains(blockOf(subnet), address)))
    );
  }

  create(request: CreateNetwork): Promise<NetworkInfo> {
    checkName(request.name);
    checkDriver(request.driver ?? "");
    const options = readOptions(request.options ?? {});
    return this.#lock.with("catalog", async () => {
      if (this.list().some(({ name }) => name === request.name)) throw nameTaken(request.name);
      if (options.bridgeName !== undefined) this.#checkBridgeName(request.name, options.bridgeName);
      let made: NetworkRecord | undefined;
      try {
        return await this.#parts.life.establish(() => (made = this.#plan(request)));
      } catch (error) {
        if (made !== undefined) await this.#erase(made);
        throw error;
      }
    });
  }

  #plan(request: CreateNetwork): NetworkRecord {
    const { networks, life } = this.#parts;
    life.planDefault();
    const wanted = request.pools ?? [];
    const taken: TakenBlock[] = networks
      .list()
      .flatMap(({ name, pools }) => pools.map(({ subnet }) => ({ network: name, block: blockOf(subnet) })));
    const ipv6 = request.ipv6 === true || wanted.some(({ subnet }) => subnet.includes(":"));
    const pools = planPools(wanted, ipv6, { taken, host: hostBlocks(), owner: networks.owner });
    const written = new Set(wanted.flatMap(({ subnet }) => (subnet === "" ? [] : [subnet])));
    const chosen = pools.map(({ subnet }) => subnet).filter((subnet) => isAmong(subnet, written));
    return networks.add({ request, pools, chosen });
  }

  #checkBridgeName(name: string, bridge: string): void {
    const other = this.list().find((each) => each.bridge === bridge);
    if (other === undefined && bridge !== this.#parts.defaultBridge) return;
    const whose = other === undefined ? "the default network" : `network ${other.name} (${other.id})`;
    throw new SlipwayError(
      "forbidden",
      `cannot create network ${name} (${bridge}): conflicts with ${whose}: networks have same bridge name`,
    );
  }

  remove(nameOrId: string): Promise<NetworkInfo> {
    return this.#lock.with("catalog", async () => {
      const network = this.get(nameOrId);
      if (network.predefined) {
        throw new SlipwayError("forbidden", `${network.name} is a pre-defined network and cannot be removed`);
      }
      if (!(await this.#erase(network))) throw this.#inUse(network);
      return network;
    });
  }

  /** False, and nothing is changed, if it has endpoints. */
  async #erase(network: NetworkRecord): Promise<boolean> {
    if (!this.#parts.networks.removeUnused(network.id)) return false;
    await this.#parts.life.remove(network.id, network.bridge ?? "");
    return true;
  }

  #inUse(network: NetworkRecord): SlipwayError {
    const members = this.#parts.endpoints.ofNetwork(network.id);
    const who = members.map(({ names, containerId }) => `name:"${names[0] ?? ""}" id:"${containerId.slice(0, 12)}"`);
    return new SlipwayError(
      "forbidden",
      `error while removing network: network ${network.name} has active endpoints (${who.join(", ")})`,
      { hint: "Stop these containers, or take them off the network: docker network disconnect." },
    );
  }

  unused(filter: (network: NetworkInfo) => boolean = () => true): NetworkRecord[] {
    const { endpoints } = this.#parts;
    return this.list().filter((each) => !each.predefined && !endpoints.isUsed(each.id) && filter(each));
  }

  prune(filter?: (network: NetworkInfo) => boolean): Promise<NetworkInfo[]> {
    return this.#lock.with("catalog", async () => {
      const removed: NetworkInfo[] = [];
      for (const network of this.unused(filter)) if (await this.#erase(network)) removed.push(network);
      return removed;
    });
  }

  members(nameOrId: string): NetworkMember[] {
    return this.#parts.endpoints.ofNetwork(this.get(nameOrId).id);
  }
}

function isAmong(subnet: string, written: ReadonlySet<string>): boolean {
  if (written.has(subnet)) return true;
  // IPv6 has many ways to write a block.
  const block = blockOf(subnet);
  return [...written].some((each) => blockOf(each).family === block.family && blockOf(each).base === block.base);
}

/** A name is shown in lists, stands in paths of the API and behind container names in DNS. */
function checkName(name: string): void {
  if (name.trim() === "") throw new SlipwayError("invalid", "invalid network name: name is empty");
  if (name.length > 255 || /[\x00-\x1f\x7f/\\]/.test(name)) {
    throw new SlipwayError("invalid", `invalid network name: ${JSON.stringify(name.slice(0, 64))}`, {
      hint: "Up to 255 characters, no slashes and no control characters.",
    });
  }
  if (isPredefined(name) || name === "default") {
    throw new SlipwayError("forbidden", `operation is not permitted on predefined ${name} network`);
  }
}

function checkDriver(driver: string): void {
  if (driver === "" || driver === "default" || driver === "bridge") return;
  if (driver === "host" || driver === "null") {
    throw new SlipwayError("forbidden", `only one instance of "${driver}" network is allowed`);
  }
  throw new SlipwayError("not-found", `could not find plugin ${driver} in v1 plugin registry: plugin not found`, {
    hint: "Slipway has one driver for networks of your own: bridge.",
  });
}
