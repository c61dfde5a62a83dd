import { blockContains, type Family, type IpAddress, parseBlock, parseIp } from "../addresses/ip-block.ts";
import type { EndpointRecord } from "../endpoint-table.ts";

/** The answer to a lookup. */
export type Lookup =
  /** One of ours. No addresses: it has none of that family. */
  { readonly kind: "found"; readonly addresses: readonly IpAddress[] } | { readonly kind: "unknown" };

export type ReverseLookup =
  | { readonly kind: "found"; readonly name: string }
  /** An address of a network that the asker is on, and nobody has it. */
  | { readonly kind: "nobody" }
  | { readonly kind: "unknown" };

interface Names {
  readonly networkName: string;
  readonly byName: Map<string, Set<EndpointRecord>>;
  readonly byAddress: Map<string, EndpointRecord>;
}

/**
 * Who is found under which name, network by network. A container sees only names of networks that it is on itself, so an
 * asker is named in every question.
 */
export class NameIndex {
  readonly #networks = new Map<string, Names>();
  /** In the order in which their networks are asked. */
  readonly #containers = new Map<string, readonly EndpointRecord[]>();
  #turn = 0;

  /** All endpoints of a container on networks with names; replaces what was there. */
  set(containerId: string, endpoints: readonly EndpointRecord[]): void {
    this.remove(containerId);
    if (endpoints.length === 0) return;
    this.#containers.set(
      containerId,
      [...endpoints].sort((one, two) => two.gatewayPriority - one.gatewayPriority),
    );
    for (const endpoint of endpoints) this.#add(endpoint);
  }

  #add(endpoint: EndpointRecord): void {
    const names = this.#namesOf(endpoint);
    for (const name of namesOf(endpoint)) {
      const holders = names.byName.get(name) ?? new Set();
      names.byName.set(name, holders.add(endpoint));
    }
    for (const address of addressesOf(endpoint)) names.byAddress.set(keyOf(address), endpoint);
  }

  #namesOf({ networkId, networkName }: EndpointRecord): Names {
    const known = this.#networks.get(networkId);
    if (known !== undefined) return known;
    const names: Names = { networkName: networkName.toLowerCase(), byName: new Map(), byAddress: new Map() };
    this.#networks.set(networkId, names);
    return names;
  }

  remove(containerId: string): void {
    for (const endpoint of this.#containers.get(containerId) ?? []) {
      const names = this.#networks.get(endpoint.networkId);
      if (names === undefined) continue;
      for (const name of namesOf(endpoint)) {
        const holders = names.byName.get(name);
        holders?.delete(endpoint);
        if (holders?.size === 0) names.byName.delete(name);
      }
      for (const address of addressesOf(endpoint)) names.byAddress.delete(keyOf(address));
      if (names.byName.size === 0) this.#networks.delete(endpoint.networkId);
    }
    this.#containers.delete(containerId);
  }

  /** Whether any network of a container leads out. */
  reachesOutside(containerId: string): boolean {
    return this.#containers.get(containerId)?.some(({ internal }) => !internal) ?? false;
  }

  endpoints(containerId: string): readonly EndpointRecord[] {
    return this.#containers.get(containerId) ?? [];
  }

  /** `name` in lower case: of a container, or of a container and its network (`web.backend`). The first network that knows it answers. */
  lookup(containerId: string, name: string, family: Family | undefined): Lookup {
    for (const { networkId, links } of this.endpoints(containerId)) {
      const names = this.#networks.get(networkId);
      const holders = names && (this.#linked(names, links, name) ?? holdersOf(names, name));
      if (holders !== undefined) return { kind: "found", addresses: this.#inTurn(holders, family) };
    }
    return { kind: "unknown" };
  }

  /** A link is the asker's own word for somebody, and comes before what others are called. */
  #linked(names: Names, links: Readonly<Record<string, string>>, name: string): Set<EndpointRecord> | undefined {
    const [, target] = Object.entries(links).find(([alias]) => alias.toLowerCase() === name) ?? [];
    return target === undefined ? undefined : names.byName.get(target.toLowerCase());
  }

  /** Each time another one first: clients take the first. */
  #inTurn(holders: ReadonlySet<EndpointRecord>, family: Family | undefined): IpAddress[] {
    const all = [...holders].flatMap(addressesOf).filter((address) => address.family === family);
    const start = this.#turn++ % Math.max(all.length, 1);
    return [...all.slice(start), ...all.slice(0, start)];
  }

  reverse(containerId: string, address: IpAddress): ReverseLookup {
    let isOurs = false;
    for (const endpoint of this.endpoints(containerId)) {
      const names = this.#networks.get(endpoint.networkId);
      const holder = names?.byAddress.get(keyOf(address));
      if (holder !== undefined) {
        return { kind: "found", name: `${holder.names[0] ?? holder.containerId.slice(0, 12)}.${holder.networkName}` };
      }
      isOurs ||= subnetsOf(endpoint).some((block) => block !== undefined && blockContains(block.block, address));
    }
    return { kind: isOurs ? "nobody" : "unknown" };
  }
}

function holdersOf(names: Names, name: string): ReadonlySet<EndpointRecord> | undefined {
  const exact = names.byName.get(name);
  const suffix = `.${names.networkName}`;
  return exact ?? (name.endsWith(suffix) ? names.byName.get(name.slice(0, -suffix.length)) : undefined);
}

/** Everybody is found by the ID as well, whole and short. */
function namesOf({ names, containerId }: EndpointRecord): Set<string> {
  return new Set([...names.map((name) => name.toLowerCase()), containerId, containerId.slice(0, 12)]);
}

function addressesOf({ address, ipv6 }: EndpointRecord): IpAddress[] {
  return [address, ipv6?.address].flatMap((text) => parseIp(text ?? "") ?? []);
}

function subnetsOf({ address, prefixLength, ipv6 }: EndpointRecord) {
  return [
    parseBlock(`${address}/${prefixLength}`),
    ipv6 === undefined ? undefined : parseBlock(`${ipv6.address}/${ipv6.prefixLength}`),
  ];
}

function keyOf({ family, value }: IpAddress): string {
  return `${family} ${value.toString(36)}`;
}
