import type { Database } from "bun:sqlite";
import { randomId, SlipwayError, shortId } from "@slipway/base";
import { leaseAddress } from "./addresses/address-pools.ts";
import { blockOf, formatIp, parseIp } from "./addresses/ip-block.ts";
import { formatAddress, macOfAddress } from "./addresses/ipv4.ts";
import type { AddressPool, AttachRequest, Endpoint, NetworkMember, PublishedPort } from "./faces.ts";
import { readEndpointOptions } from "./network-options.ts";
import type { NetworkRecord, NetworkTable } from "./network-table.ts";

interface EndpointRow {
  id: string;
  container_id: string;
  network_id: string;
  address: number;
  prefix_length: number;
  gateway: number;
  mac: string;
  link: string;
  interface: string;
  ipv6: string | null;
  gateway_priority: number;
  names: string;
  links: string;
  ready: number;
  extras: string;
}

interface PortRow {
  endpoint_id: string;
  protocol: PublishedPort["protocol"];
  host_address: string;
  host_port: number;
  container_port: number;
}

/** The column `extras`, of what few endpoints have; every field may be absent. */
interface Extras {
  readonly linkLocal?: readonly string[];
  readonly sysctls?: Readonly<Record<string, string>>;
}

/** A published port with the addresses of the container that it leads to. */
export interface Forward {
  readonly port: PublishedPort;
  /** IPv4, as a number. */
  readonly address: number;
  readonly ipv6: string | undefined;
}

/** An endpoint with the name of its interface on the host. */
export interface EndpointRecord extends NetworkMember {
  readonly link: string;
  /** No way leads out of its network. */
  readonly internal: boolean;
  /** On a network that a user made: names are answered there. */
  readonly custom: boolean;
  /** False while it is being added to a running container, or taken away. */
  readonly ready: boolean;
  /** Further addresses of the interface, which nobody routes. */
  readonly linkLocal: readonly string[];
  /** Settings of the interface: a path below `/proc/sys/net` and its value. */
  readonly sysctls: Readonly<Record<string, string>>;
}

/** Sandboxes, endpoints and ports as rows: before the kernel has them and until it has lost them. All synchronous, all transactions. */
export class EndpointTable {
  readonly #db: Database;
  readonly #networks: NetworkTable;

  constructor(database: Database, networks: NetworkTable) {
    this.#db = database;
    this.#networks = networks;
  }

  addSandbox(containerId: string, path: string, nameservers: readonly string[] = []): void {
    this.#db.run("INSERT INTO network_sandboxes (container_id, path, nameservers) VALUES (?, ?, ?)", [
      containerId,
      path,
      JSON.stringify(nameservers),
    ]);
  }

  /**
   * Leases addresses, the name of the interface and the ports, in one transaction. With `path` the sandbox is new and stands
   * or falls with its first endpoint; without, the endpoint counts when it is marked as ready.
   * Throws as `leaseAddress`, and `forbidden` if the container is on the network.
   */
  add(wanted: {
    readonly request: AttachRequest;
    readonly networkId: string;
    readonly path?: string;
    readonly ports: readonly PublishedPort[];
  }): EndpointRecord {
    const { request, networkId, path, ports } = wanted;
    return this.#db.transaction(() => {
      // Read here and now: it may have been removed while we waited for our turn.
      const network = this.#networks.get(networkId);
      const { containerId } = request;
      if (path !== undefined) this.addSandbox(containerId, path, request.nameservers);
      if (this.ofContainer(containerId).some((each) => each.networkId === networkId)) {
        const name = request.names?.[0] ?? shortId(containerId);
        throw new SlipwayError("forbidden", `endpoint with name ${name} already exists in network ${network.name}`);
      }
      const id = randomId();
      const { address, ipv6 } = this.#leaseAddresses(network, request);
      const own = readEndpointOptions(request.options ?? {});
      this.#checkInterface(containerId, own.interfaceName);
      this.#db.run(
        `INSERT INTO network_endpoints (id, container_id, network_id, address, prefix_length, gateway, mac, link,
           interface, ipv6, gateway_priority, names, links, ready, extras)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        [
          id,
          containerId,
          networkId,
          address,
          network.place?.subnet.prefixLength ?? 32,
          network.place?.gateway ?? 0,
          request.macAddress || macOfAddress(address),
          `sw${id.slice(0, 11)}`,
          own.interfaceName ?? this.#freeInterface(containerId, network.bridgeSettings.interfacePrefix),
          ipv6 ?? null,
          request.gatewayPriority ?? 0,
          JSON.stringify(request.names ?? []),
          JSON.stringify(request.links ?? {}),
          path === undefined ? 0 : 1,
          JSON.stringify({ linkLocal: request.linkLocal ?? [], sysctls: own.sysctls }),
        ],
      );
      for (const port of ports) this.#addPort(id, port);
      return this.get(id);
    })();
  }

  #leaseAddresses(network: NetworkRecord, request: AttachRequest): { address: number; ipv6: string | undefined } {
    const [pool, pool6] = network.pools;
    if (pool === undefined) throw new SlipwayError("internal", `network ${network.name} has no addresses`);
    checkMayChoose(network, pool, request.address);
    const rows = this.#db
      .query<Pick<EndpointRow, "address" | "ipv6">, [string]>(
        "SELECT address, ipv6 FROM network_endpoints WHERE network_id = ?",
      )
      .all(network.id);
    const taken = new Set(rows.map((each) => BigInt(each.address)));
    const address = leaseAddress(pool, { taken, wanted: request.address || undefined, network: network.name });
    if (pool6 === undefined) {
      if (!request.ipv6Address) return { address: Number(address), ipv6: undefined };
      throw new SlipwayError("invalid", `network ${network.name} has no IPv6, so not ${request.ipv6Address} either`);
    }
    checkMayChoose(network, pool6, request.ipv6Address);
    const taken6 = new Set(rows.flatMap(({ ipv6 }) => (ipv6 === null ? [] : [parseIp(ipv6)?.value ?? 0n])));
    const value = leaseAddress(pool6, {
      taken: taken6,
      wanted: request.ipv6Address || undefined,
      network: network.name,
    });
    return { address: Number(address), ipv6: formatIp({ family: 6, value }) };
  }

  #checkInterface(containerId: string, name: string | undefined): void {
    if (name === undefined || !this.ofContainer(containerId).some((each) => each.interface === name)) return;
    throw new SlipwayError("conflict", `the container has an interface ${name} already`);
  }

  #freeInterface(containerId: string, prefix: string): string {
    const used = new Set(this.ofContainer(containerId).map((each) => each.interface));
    for (let number = 0; number < 1000; number++) if (!used.has(`${prefix}${number}`)) return `${prefix}${number}`;
    throw new SlipwayError("exhausted", "a container can be on 1000 networks");
  }

  #addPort(endpointId: string, port: PublishedPort): void {
    this.#db.run("INSERT INTO network_ports VALUES (?, ?, ?, ?, ?)", [
      endpointId,
      port.protocol,
      port.hostAddress,
      port.hostPort,
      port.containerPort,
    ]);
  }

  addPorts(endpointId: string, ports: readonly PublishedPort[]): void {
    this.#db.transaction(() => {
      for (const port of ports) this.#addPort(endpointId, port);
    })();
  }

  /** All ports of a container from now on belong to this endpoint. */
  movePorts(containerId: string, endpointId: string): void {
    this.#db.run(
      `UPDATE network_ports SET endpoint_id = ?
       WHERE endpoint_id IN (SELECT id FROM network_endpoints WHERE container_id = ?)`,
      [endpointId, containerId],
    );
  }

  setReady(endpointId: string, ready: boolean): void {
    this.#db.run("UPDATE network_endpoints SET ready = ? WHERE id = ?", [ready ? 1 : 0, endpointId]);
  }

  setNames(endpointId: string, names: readonly string[]): void {
    this.#db.run("UPDATE network_endpoints SET names = ? WHERE id = ?", [JSON.stringify(names), endpointId]);
  }

  /** The container that has published a host port, at this address or at one that includes it. */
  portHolder(port: PublishedPort): { readonly containerId: string; readonly name: string | undefined } | undefined {
    const rows = this.#db.query<{ host_address: string; container_id: string; names: string }, [string, number]>(
      `SELECT host_address, container_id, names FROM network_ports JOIN network_endpoints ON id = endpoint_id
       WHERE protocol = ? AND host_port = ?`,
    );
    const row = rows
      .all(port.protocol, port.hostPort)
      .find((each) => addressesMeet(each.host_address, port.hostAddress));
    if (row === undefined) return undefined;
    return { containerId: row.container_id, name: (JSON.parse(row.names) as string[])[0] };
  }

  sandboxPath(containerId: string): string | undefined {
    return this.#db
      .query<{ path: string }, [string]>("SELECT path FROM network_sandboxes WHERE container_id = ?")
      .get(containerId)?.path;
  }

  nameservers(containerId: string): readonly string[] {
    const row = this.#db
      .query<{ nameservers: string }, [string]>("SELECT nameservers FROM network_sandboxes WHERE container_id = ?")
      .get(containerId);
    return row === null ? [] : (JSON.parse(row.nameservers) as string[]);
  }

  setNameservers(containerId: string, nameservers: readonly string[]): void {
    this.#db.run("UPDATE network_sandboxes SET nameservers = ? WHERE container_id = ?", [
      JSON.stringify(nameservers),
      containerId,
    ]);
  }

  containers(): string[] {
    const rows = this.#db
      .query<{ container_id: string }, []>("SELECT container_id FROM network_sandboxes ORDER BY rowid")
      .all();
    return rows.map((each) => each.container_id);
  }

  get(id: string): EndpointRecord {
    const [endpoint] = this.#select("WHERE id = ?", id);
    if (endpoint === undefined) throw new SlipwayError("not-found", `endpoint ${id} not found`);
    return endpoint;
  }

  all(): EndpointRecord[] {
    return this.#select("");
  }

  ofContainer(containerId: string): EndpointRecord[] {
    return this.#select("WHERE container_id = ?", containerId);
  }

  ofNetwork(networkId: string): EndpointRecord[] {
    return this.#select("WHERE network_id = ?", networkId);
  }

  publishing(): EndpointRecord[] {
    return this.#select("WHERE id IN (SELECT endpoint_id FROM network_ports)");
  }

  /** Where each published port leads, of all containers at once: asked at every start, so it is one statement. */
  forwards(): Forward[] {
    const rows = this.#db.query<PortRow & Pick<EndpointRow, "address" | "ipv6">, []>(
      `SELECT protocol, host_address, host_port, container_port, address, ipv6
       FROM network_ports JOIN network_endpoints ON id = endpoint_id`,
    );
    return rows.all().map((row) => ({ port: portOfRow(row), address: row.address, ipv6: row.ipv6 ?? undefined }));
  }

  isUsed(networkId: string): boolean {
    return this.#db.query("SELECT 1 FROM network_endpoints WHERE network_id = ? LIMIT 1").get(networkId) !== null;
  }

  #select(where: string, ...parameters: string[]): EndpointRecord[] {
    const rows = this.#db
      .query<EndpointRow, string[]>(`SELECT * FROM network_endpoints ${where} ORDER BY rowid`)
      .all(...parameters);
    const ports = this.#db.query<PortRow, [string]>("SELECT * FROM network_ports WHERE endpoint_id = ? ORDER BY rowid");
    return rows.map((row) => endpointOfRow(row, this.#networks.get(row.network_id), ports.all(row.id)));
  }

  removePorts(containerId: string): void {
    this.#db.run(
      "DELETE FROM network_ports WHERE endpoint_id IN (SELECT id FROM network_endpoints WHERE container_id = ?)",
      [containerId],
    );
  }

  removeEndpoint(id: string): void {
    this.#db.transaction(() => {
      this.#db.run("DELETE FROM network_ports WHERE endpoint_id = ?", [id]);
      this.#db.run("DELETE FROM network_endpoints WHERE id = ?", [id]);
    })();
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

/** Docker's rule: a block that we chose may be another one tomorrow. The default network's is the daemon's configuration. */
function checkMayChoose(network: NetworkRecord, pool: AddressPool, wanted: string | undefined): void {
  if (!wanted || network.predefined || network.chosen.includes(pool.subnet)) return;
  throw new SlipwayError(
    "invalid",
    "user specified IP address is supported only when connecting to networks with user configured subnets",
    { hint: `Make network ${network.name} with --subnet.` },
  );
}

/** The wildcard of a family includes all its addresses. */
export function addressesMeet(one: string, two: string): boolean {
  if (one.includes(":") !== two.includes(":")) return false;
  return one === two || [one, two].some((each) => each === "0.0.0.0" || each === "::");
}

function endpointOfRow(row: EndpointRow, network: NetworkRecord, ports: readonly PortRow[]): EndpointRecord {
  const extras = JSON.parse(row.extras) as Extras;
  return {
    id: row.id,
    containerId: row.container_id,
    link: row.link,
    networkId: row.network_id,
    networkName: network.name,
    internal: network.internal,
    custom: !network.predefined,
    ready: row.ready !== 0,
    address: formatAddress(row.address),
    prefixLength: row.prefix_length,
    gateway: network.internal ? "" : formatAddress(row.gateway),
    ...ipv6Of(row, network),
    macAddress: row.mac,
    interface: row.interface,
    gatewayPriority: row.gateway_priority,
    names: JSON.parse(row.names) as string[],
    links: JSON.parse(row.links) as Record<string, string>,
    ports: ports.map(portOfRow),
    linkLocal: extras.linkLocal ?? [],
    sysctls: extras.sysctls ?? {},
  };
}

function portOfRow(row: Omit<PortRow, "endpoint_id">): PublishedPort {
  return {
    protocol: row.protocol,
    hostAddress: row.host_address,
    hostPort: row.host_port,
    containerPort: row.container_port,
  };
}

function ipv6Of(row: EndpointRow, network: NetworkRecord): Pick<Endpoint, "ipv6"> {
  const pool = network.pools[1];
  if (row.ipv6 === null || pool === undefined) return {};
  const { prefixLength } = blockOf(pool.subnet);
  return { ipv6: { address: row.ipv6, prefixLength, gateway: network.internal ? "" : (pool.gateway ?? "") } };
}
