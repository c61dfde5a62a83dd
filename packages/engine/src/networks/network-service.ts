import { SlipwayError } from "@slipway/base";
import type { CreateNetwork, NetworkInfo } from "@slipway/network";
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import { viewOf } from "../containers/container-view.ts";
import type { Container, EndpointSettings } from "../faces.ts";
import {
  booleanFilter,
  checkFilters,
  type Filters,
  filterValues,
  labelsMatch,
  matchesPattern,
  untilFilter,
} from "../filters.ts";
import { networkNamed } from "./attachments.ts";
import { joinNetwork, leaveNetwork } from "./container-endpoints.ts";
import { publishNetworkEvent } from "./network-events.ts";

const LIST_FILTERS = ["dangling", "driver", "id", "label", "label!", "name", "scope", "type"];
const PRUNE_FILTERS = ["label", "label!", "until"];

/** Networks as the API sees them. */
export class NetworkService {
  readonly #context: ContainerContext;

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  async list(filters: Filters): Promise<NetworkInfo[]> {
    checkFilters(filters, LIST_FILTERS);
    const driver = filterValues(filters, "driver");
    const scope = filterValues(filters, "scope");
    const type = filterValues(filters, "type");
    for (const value of type ?? []) {
      if (value !== "builtin" && value !== "custom") {
        throw new SlipwayError("invalid", `invalid filter: 'type'='${value}'`, { hint: "Write builtin or custom." });
      }
    }
    const dangling = booleanFilter(filters, "dangling");
    return this.#context.networks
      .list()
      .filter(
        (network) =>
          matchesPattern(filterValues(filters, "name"), network.name) &&
          matchesPattern(filterValues(filters, "id"), network.id) &&
          (driver === undefined || driver.includes(network.driver)) &&
          (scope === undefined || scope.includes("local")) &&
          (type === undefined || type.includes(network.predefined ? "builtin" : "custom")) &&
          (dangling === undefined || this.#isDangling(network) === dangling) &&
          labelsMatch(filters, network.labels),
      );
  }

  #isDangling(network: NetworkInfo): boolean {
    return !network.predefined && this.#runningOn(network).length === 0;
  }

  async inspect(
    nameOrId: string,
  ): Promise<{ readonly network: NetworkInfo; readonly containers: readonly Container[] }> {
    const network = networkNamed(this.#context.networks, nameOrId);
    return { network, containers: this.#runningOn(network).map((entry) => viewOf(this.#context, entry)) };
  }

  #runningOn(network: NetworkInfo): ContainerEntry[] {
    const isOn = (entry: ContainerEntry): boolean =>
      network.driver === "bridge"
        ? entry.endpoints.some(({ networkId }) => networkId === network.id)
        : entry.definition.hostConfig.NetworkMode === network.name;
    return this.#context.index.all().filter((entry) => isAlive(entry.state.status) && isOn(entry));
  }

  /** Throws `already-exists`, `invalid`, `forbidden` and `conflict`, as the network package words them. */
  async create(request: CreateNetwork): Promise<NetworkInfo> {
    const network = await this.#context.networks.create(request);
    publishNetworkEvent(this.#context, network, "create");
    return network;
  }

  /** Throws `not-found`, and `forbidden` for a predefined network or one that running containers are on. */
  async remove(nameOrId: string): Promise<void> {
    const { networks, cleanups } = this.#context;
    const { id, predefined } = networkNamed(networks, nameOrId);
    // Whoever was on it may have ended already: containers are cleaned up while nobody waits.
    if (!predefined && networks.members(id).length > 0) await cleanups.idle();
    publishNetworkEvent(this.#context, await networks.remove(id), "destroy");
  }

  /** Removes the networks that nothing runs on; the answer is their names. */
  /** What `prune` would remove now. */
  prunable(filters: Filters): NetworkInfo[] {
    return this.#context.networks.unused(this.#asked(filters));
  }

  #asked(filters: Filters): (network: NetworkInfo) => boolean {
    checkFilters(filters, PRUNE_FILTERS);
    const until = untilFilter(filters, this.#context.now());
    return ({ created, labels }) => (until === undefined || created < until) && labelsMatch(filters, labels);
  }

  async prune(filters: Filters): Promise<{ readonly removed: readonly string[] }> {
    const { networks, cleanups, events } = this.#context;
    const asked = this.#asked(filters);
    await cleanups.idle();
    const removed = await networks.prune(asked);
    for (const network of removed) publishNetworkEvent(this.#context, network, "destroy");
    events.publish({ type: "network", action: "prune", id: "", attributes: { reclaimed: "0" } });
    return { removed: removed.map(({ name }) => name) };
  }

  /** Joins a container to a network, at once if it runs. Throws `not-found`, `invalid`, `forbidden`, `conflict`. */
  async connect(nameOrId: string, container: string, settings: EndpointSettings): Promise<void> {
    await this.#change(nameOrId, container, (network, entry) =>
      joinNetwork(this.#context, entry, { network, settings }),
    );
  }

  /** Throws `not-found`, and `forbidden` for a container that is not on the network. */
  async disconnect(nameOrId: string, container: string): Promise<void> {
    await this.#change(nameOrId, container, (network, entry) => leaveNetwork(this.#context, entry, network));
  }

  async #change(
    nameOrId: string,
    container: string,
    work: (network: NetworkInfo, entry: ContainerEntry) => Promise<void>,
  ): Promise<void> {
    const { networks, index, lock } = this.#context;
    const network = networkNamed(networks, nameOrId);
    const entry = index.resolve(container);
    await lock.with(entry.id, async () => {
      // It may have been removed while we waited.
      if (index.get(entry.id) === undefined) throw new SlipwayError("not-found", `No such container: ${container}`);
      // After the end of a run its network is released first.
      if (!isAlive(entry.state.status)) await entry.teardown;
      await work(network, entry);
    });
  }
}
