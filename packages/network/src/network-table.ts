import type { Database } from "bun:sqlite";
import { randomId, SlipwayError, shortId } from "@slipway/base";
import type { Endpoint, NetworkInfo, PublishedPort, Sandbox } from "./faces.ts";
import {
  type BridgePlace,
  broadcast,
  contains,
  formatAddress,
  formatSubnet,
  parseAddress,
  parsePlace,
} from "./ipv4.ts";

interface NetworkRow {
  id: string;
  name: string;
  driver: "bridge" | "host" | "null";
  bridge: string | null;
  place: string | null;
  labels: string;
  internal: number;
  created: number;
}

interface EndpointRow {
  id: string;
  container_id: string;
  network_id: string;
  network_name: string;
  address: number;
  prefix_length: number;
  gateway: number;
  mac: string;
  link: string;
}

interface PortRow {
  endpoint_id: string;
  protocol: PublishedPort["protocol"];
  host_address: string;
  host_port: number;
  container_port: number;
}

/** An endpoint with the name of its interface on the host. */
export interface EndpointRecord extends Endpoint {
  readonly containerId: string;
  readonly link: string;
}

export interface NewEndpoint {
  readonly containerId: string;
  readonly path: string;
  readonly network: NetworkInfo;
  readonly place: BridgePlace;
  readonly address: number | undefined;
  readonly mac: string | undefined;
  readonly macOf: (address: number) => string;
  readonly ports: readonly PublishedPort[];
}

/** The rows: what exists, before the kernel has it and until the kernel has lost it. All synchronous, all transactions. */
export class NetworkTable {
  readonly #db: Database;
  /** Marks the bridge as this engine's, for engines beside us. */
  readonly owner: string;

  constructor(database: Database) {
    this.#db = database;
    this.owner = this.#ensureOwner();
    this.#ensure("bridge", "bridge");
    this.#ensure("host", "host");
    this.#ensure("none", "null");
  }

  #ensureOwner(): string {
    const row = this.#db.query<{ id: string }, []>("SELECT id FROM network_owner").get();
    if (row !== null) return row.id;
    const id = shortId(randomId());
    this.#db.run("INSERT INTO network_owner VALUES (?)", [id]);
    return id;
  }

  #ensure(name: string, driver: NetworkRow["driver"]): void {
    this.#db.run(
      "INSERT INTO network_networks (id, name, driver, created) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
      [randomId(), name, driver, Date.now()],
    );
  }

  list(): NetworkInfo[] {
    return this.#db.query<NetworkRow, []>("SELECT * FROM network_networks ORDER BY rowid").all().map(infoOfRow);
  }

  /** By name, by ID, or by a unique beginning of it. */
  find(nameOrId: string): NetworkInfo | undefined {
    const all = this.list();
    const exact = all.find((each) => each.name === nameOrId || each.id === nameOrId);
    if (exact !== undefined || nameOrId === "") return exact;
    const matches = all.filter((each) => each.id.startsWith(nameOrId));
    if (matches.length > 1) throw new SlipwayError("conflict", `network ID ${nameOrId} is ambiguous`);
    return matches[0];
  }

  /** Where a network's bridge was last, if it ever was. */
  place(networkId: string): BridgePlace | undefined {
    const row = this.#db.query<NetworkRow, [string]>("SELECT * FROM network_networks WHERE id = ?").get(networkId);
    return row === null || row.place === null ? undefined : parsePlace(row.place);
  }

  setPlace(networkId: string, bridge: string, place: BridgePlace): void {
    const text = `${formatAddress(place.gateway)}/${place.subnet.prefixLength}`;
    this.#db.run("UPDATE network_networks SET bridge = ?, place = ? WHERE id = ?", [bridge, text, networkId]);
  }

  addIsolated(containerId: string, path: string): void {
    this.#db.run("INSERT INTO network_sandboxes VALUES (?, ?)", [containerId, path]);
  }

  /** Leases an address and the ports, in one transaction. Throws `conflict` and `exhausted`. */
  addEndpoint(wanted: NewEndpoint): EndpointRecord {
    return this.#db.transaction(() => {
      const address = this.#leaseAddress(wanted);
      const mac = wanted.mac ?? wanted.macOf(address);
      const id = randomId();
      const link = `sw${id.slice(0, 11)}`;
      this.addIsolated(wanted.containerId, wanted.path);
      this.#db.run("INSERT INTO network_endpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [
        id,
        wanted.containerId,
        wanted.network.id,
        address,
        wanted.place.subnet.prefixLength,
        wanted.place.gateway,
        mac,
        link,
      ]);
      for (const port of wanted.ports) this.#leasePort(id, port);
      return {
        id,
        containerId: wanted.containerId,
        link,
        networkId: wanted.network.id,
        networkName: wanted.network.name,
        address: formatAddress(address),
        prefixLength: wanted.place.subnet.prefixLength,
        gateway: formatAddress(wanted.place.gateway),
        macAddress: mac,
        ports: wanted.ports,
      };
    })();
  }

  #leaseAddress({ network, place: { subnet, gateway }, address }: NewEndpoint): number {
    const rows = this.#db.query<{ address: number }, [string]>(
      "SELECT address FROM network_endpoints WHERE network_id = ?",
    );
    const taken = new Set(rows.all(network.id).map((each) => each.address));
    taken.add(gateway);
    if (address !== undefined) {
      if (!contains(subnet, address))
        throw new SlipwayError("invalid", `${formatAddress(address)} is not in ${formatSubnet(subnet)}`);
      if (taken.has(address)) throw new SlipwayError("conflict", `the address ${formatAddress(address)} is in use`);
      return address;
    }
    const last = broadcast(subnet);
    for (let candidate = subnet.base + 1; candidate < last; candidate++) if (!taken.has(candidate)) return candidate;
    throw new SlipwayError("exhausted", `no address is left in ${formatSubnet(subnet)} of network ${network.name}`);
  }

  #leasePort(endpointId: string, port: PublishedPort): void {
    this.#db.run("INSERT INTO network_ports VALUES (?, ?, ?, ?, ?)", [
      endpointId,
      port.protocol,
      port.hostAddress,
      port.hostPort,
      port.containerPort,
    ]);
  }

  /** The container that has published a host port, at this address or at one that includes it. */
  portHolder(port: PublishedPort): string | undefined {
    const rows = this.#db.query<{ host_address: string; container_id: string }, [string, number]>(
      `SELECT host_address, container_id FROM network_ports JOIN network_endpoints ON id = endpoint_id
       WHERE protocol = ? AND host_port = ?`,
    );
    return rows.all(port.protocol, port.hostPort).find((each) => addressesMeet(each.host_address, port.hostAddress))
      ?.container_id;
  }

  sandboxPath(containerId: string): string | undefined {
    const row = this.#db
      .query<{ path: string }, [string]>("SELECT path FROM network_sandboxes WHERE container_id = ?")
      .get(containerId);
    return row?.path;
  }

  sandbox(containerId: string): Sandbox | undefined {
    const path = this.sandboxPath(containerId);
    return path === undefined ? undefined : { namespacePath: path, endpoints: this.endpoints(containerId) };
  }

  containers(): string[] {
    const rows = this.#db
      .query<{ container_id: string }, []>("SELECT container_id FROM network_sandboxes ORDER BY rowid")
      .all();
    return rows.map((each) => each.container_id);
  }

  /** All endpoints, or those of one container. */
  endpoints(containerId?: string): EndpointRecord[] {
    const where = containerId === undefined ? "" : "WHERE container_id = ?";
    const parameters = containerId === undefined ? [] : [containerId];
    const rows = this.#db
      .query<EndpointRow, string[]>(
        `SELECT e.*, n.name AS network_name FROM network_endpoints e JOIN network_networks n ON n.id = e.network_id ${where} ORDER BY e.rowid`,
      )
      .all(...parameters);
    const ports = this.#db.query<PortRow, [string]>("SELECT * FROM network_ports WHERE endpoint_id = ? ORDER BY rowid");
    return rows.map((row) => endpointOfRow(row, ports.all(row.id)));
  }

  removePorts(containerId: string): void {
    this.#db.run(
      "DELETE FROM network_ports WHERE endpoint_id IN (SELECT id FROM network_endpoints WHERE container_id = ?)",
      [containerId],
    );
  }

  /** Forgets a container; what it leased is free. */
  remove(containerId: string): void {
    this.#db.transaction(() => {
      // Not left to the foreign keys alone: they are a setting of each connection.
      this.removePorts(containerId);
      this.#db.run("DELETE FROM network_endpoints WHERE container_id = ?", [containerId]);
      this.#db.run("DELETE FROM network_sandboxes WHERE container_id = ?", [containerId]);
    })();
  }
}

/** The wildcard of a family includes all its addresses. */
export function addressesMeet(one: string, two: string): boolean {
  if (one.includes(":") !== two.includes(":")) return false;
  return one === two || [one, two].some((each) => each === "0.0.0.0" || each === "::");
}

function infoOfRow(row: NetworkRow): NetworkInfo {
  const place = row.place === null ? undefined : parsePlace(row.place);
  return {
    id: row.id,
    name: row.name,
    driver: row.driver,
    created: row.created,
    internal: row.internal !== 0,
    labels: JSON.parse(row.labels) as Record<string, string>,
    ...(row.bridge === null ? {} : { bridge: row.bridge }),
    ...(place === undefined ? {} : { subnet: formatSubnet(place.subnet), gateway: formatAddress(place.gateway) }),
  };
}

function endpointOfRow(row: EndpointRow, ports: readonly PortRow[]): EndpointRecord {
  return {
    id: row.id,
    containerId: row.container_id,
    link: row.link,
    networkId: row.network_id,
    networkName: row.network_name,
    address: formatAddress(row.address),
    prefixLength: row.prefix_length,
    gateway: formatAddress(row.gateway),
    macAddress: row.mac,
    ports: ports.map((port) => ({
      protocol: port.protocol,
      hostAddress: port.host_address,
      hostPort: port.host_port,
      containerPort: port.container_port,
    })),
  };
}

/** An address that a user asked for. Throws `invalid`. */
export function wantedAddress(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const address = parseAddress(text);
  if (address === undefined) throw new SlipwayError("invalid", `${text} is not an IPv4 address`);
  return address;
}
