import { nearest, SlipwayError } from "@slipway/base";
import type { NetworkInfo, Networks } from "@slipway/network";
import type { Container } from "./faces.ts";
import { checkFilters, type Filters, filterValues, labelsMatch, matchesPattern } from "./filters.ts";

const LIST_FILTERS = ["dangling", "driver", "id", "label", "label!", "name", "scope", "type"];

export interface NetworkDependencies {
  readonly networks: Networks;
  /** The running containers that are attached to a network. */
  readonly attached: (networkId: string) => readonly Container[];
}

/** Networks as the API sees them. */
export class NetworkService {
  readonly #deps: NetworkDependencies;

  constructor(deps: NetworkDependencies) {
    this.#deps = deps;
  }

  async list(filters: Filters): Promise<NetworkInfo[]> {
    checkFilters(filters, LIST_FILTERS);
    const id = filterValues(filters, "id");
    const driver = filterValues(filters, "driver");
    const scope = filterValues(filters, "scope");
    const type = filterValues(filters, "type");
    return this.#deps.networks
      .list()
      .filter(
        (network) =>
          matchesPattern(filterValues(filters, "name"), network.name) &&
          (id === undefined || id.some((value) => network.id.startsWith(value))) &&
          (driver === undefined || driver.includes(network.driver)) &&
          (scope === undefined || scope.includes("local")) &&
          (type === undefined || type.includes(isBuiltIn(network) ? "builtin" : "custom")) &&
          labelsMatch(filters, network.labels),
      );
  }

  async inspect(
    nameOrId: string,
  ): Promise<{ readonly network: NetworkInfo; readonly containers: readonly Container[] }> {
    const network = this.#find(nameOrId);
    return { network, containers: this.#deps.attached(network.id) };
  }

  /** By name, ID or unique beginning of an ID. Throws `not-found`. */
  #find(nameOrId: string): NetworkInfo {
    const { networks } = this.#deps;
    const exact = networks.find(nameOrId);
    if (exact !== undefined) return exact;
    const all = networks.list();
    const found = nameOrId === "" ? [] : all.filter(({ id }) => id.startsWith(nameOrId));
    if (found.length > 1) {
      throw new SlipwayError(
        "invalid",
        `network ${nameOrId} is ambiguous (${found.length} matches found based on ID prefix)`,
      );
    }
    const [network] = found;
    if (network !== undefined) return network;
    const near = nearest(
      nameOrId,
      all.map(({ name }) => name),
    );
    throw new SlipwayError(
      "not-found",
      `network ${nameOrId} not found`,
      near === undefined ? {} : { hint: `Did you mean '${near}'?` },
    );
  }
}

function isBuiltIn({ name }: NetworkInfo): boolean {
  return name === "bridge" || name === "host" || name === "none";
}
