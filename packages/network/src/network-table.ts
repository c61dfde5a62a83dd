import type { Database } from "bun:sqlite";
import { randomId, SlipwayError, shortId } from "@slipway/base";
import { blockOf } from "./addresses/ip-block.ts";
import { type BridgePlace, formatAddress, formatSubnet, parseAddress, parsePlace } from "./addresses/ipv4.ts";
import type { AddressPool, CreateNetwork, NetworkInfo } from "./faces.ts";
import { type BridgeSettings, readOptions } from "./network-options.ts";

interface NetworkRow {
  id: string;
  name: string;
  driver: "bridge" | "host" | "null";
  bridge: string | null;
  place: string | null;
  labels: string;
  internal: number;
  created: number;
  settings: string;
}

/** The column `settings`; every field may be absent. */
interface StoredSettings {
  readonly pools?: readonly AddressPool[];
  readonly options?: Readonly<Record<string, string>>;
  readonly attachable?: boolean;
  readonly chosen?: readonly string[];
}

/** A network with what its bridge is made from. */
export interface NetworkRecord extends NetworkInfo {
  readonly bridgeSettings: BridgeSettings;
  /** The bridge's IPv4 address and subnet; the default network has none before its first container. */
  readonly place: BridgePlace | undefined;
  /** Subnets that the user chose: only in them may a container ask for an address. */
  readonly chosen: readonly string[];
}

export interface NewNetwork {
  readonly request: CreateNetwork;
  readonly pools: readonly AddressPool[];
  /** Subnets that the user wrote. */
  readonly chosen: readonly string[];
}

const PREDEFINED: readonly (readonly [name: string, driver: NetworkRow["driver"]])[] = [
  ["bridge", "bridge"],
  ["host", "host"],
  ["none", "null"],
];

export function isPredefined(name: string): boolean {
  return PREDEFINED.some(([each]) => each === name);
}

/** The networks as rows. They exist before the kernel has a bridge for them and until it has lost it. */
export class NetworkTable {
  readonly #db: Database;
  /** Marks bridges as this engine's, for engines beside us. */
  readonly owner: string;
  /** All rows, read again after a change: every container asks several times. */
  #records: ReadonlyMap<string, NetworkRecord> | undefined;

  constructor(database: Database) {
    this.#db = database;
    this.owner = this.#ensureOwner();
    for (const [name, driver] of PREDEFINED) {
      database.run(
        "INSERT INTO network_networks (id, name, driver, created) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        [randomId(), name, driver, Date.now()],
      );
    }
  }

  #ensureOwner(): string {
    const row = this.#db.query<{ id: string }, []>("SELECT id FROM network_owner").get();
    if (row !== null) return row.id;
    const id = shortId(randomId());
    this.#db.run("INSERT INTO network_owner VALUES (?)", [id]);
    return id;
  }

  #all(): ReadonlyMap<string, NetworkRecord> {
    this.#records ??= new Map(
      this.#db
        .query<NetworkRow, []>("SELECT * FROM network_networks ORDER BY rowid")
        .all()
        .map((row) => [row.id, recordOfRow(row)]),
    );
    return this.#records;
  }

  list(): NetworkRecord[] {
    return [...this.#all().values()];
  }

  get(id: string): NetworkRecord {
    const record = this.#all().get(id);
    if (record === undefined) throw new SlipwayError("not-found", `network ${id} not found`);
    return record;
  }

  /** By name, by ID, or by a unique beginning of it. */
  find(nameOrId: string): NetworkRecord | undefined {
    const all = this.list();
    const exact = all.find((each) => each.name === nameOrId) ?? all.find((each) => each.id === nameOrId);
    if (exact !== undefined || nameOrId === "") return exact;
    const matches = all.filter((each) => each.id.startsWith(nameOrId));
    if (matches.length > 1) {
      throw new SlipwayError(
        "invalid",
        `network ${nameOrId} is ambiguous (${matches.length} matches found based on ID prefix)`,
      );
    }
    return matches[0];
  }

  /** Throws `already-exists`. */
  add({ request, pools, chosen }: NewNetwork): NetworkRecord {
    const id = randomId();
    const [ipv4] = pools;
    const place = ipv4 === undefined ? undefined : `${ipv4.gateway ?? ""}/${blockOf(ipv4.subnet).prefixLength}`;
    const settings: StoredSettings = {
      pools,
      chosen,
      options: request.options ?? {},
      attachable: request.attachable ?? false,
    };
    const { changes } = this.#db.run(
      `INSERT INTO network_networks (id, name, driver, bridge, place, labels, internal, created, settings)
       VALUES (?, ?, 'bridge', ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
      [
        id,
        request.name,
        readOptions(request.options ?? {}).bridgeName ?? `br-${shortId(id)}`,
        place ?? null,
        JSON.stringify(request.labels ?? {}),
        request.internal ? 1 : 0,
        Date.now(),
        JSON.stringify(settings),
      ],
    );
    if (changes === 0) throw nameTaken(request.name);
    this.#records = undefined;
    return this.get(id);
  }

  /** False if it has endpoints, and stays. */
  removeUnused(id: string): boolean {
    const { changes } = this.#db.run(
      "DELETE FROM network_networks WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM network_endpoints WHERE network_id = ?1)",
      [id],
    );
    this.#records = undefined;
    return changes > 0;
  }

  /** Remembers where the default network's bridge is. */
  setPlace(networkId: string, bridge: string, place: BridgePlace): void {
    const text = `${formatAddress(place.gateway)}/${place.subnet.prefixLength}`;
    const known = this.get(networkId);
    if (known.bridge === bridge && known.place !== undefined && placeText(known.place) === text) return;
    this.#db.run("UPDATE network_networks SET bridge = ?, place = ? WHERE id = ?", [bridge, text, networkId]);
    this.#records = undefined;
  }
}

export function nameTaken(name: string): SlipwayError {
  return new SlipwayError("already-exists", `network with name ${name} already exists`);
}

function placeText({ gateway, subnet }: BridgePlace): string {
  return `${formatAddress(gateway)}/${subnet.prefixLength}`;
}

function recordOfRow(row: NetworkRow): NetworkRecord {
  const settings = JSON.parse(row.settings) as StoredSettings;
  const place = row.place === null ? undefined : placeOfRow(row.place);
  const own =
    place === undefined ? [] : [{ subnet: formatSubnet(place.subnet), gateway: formatAddress(place.gateway) }];
  const pools = settings.pools ?? own;
  const options = settings.options ?? {};
  return {
    id: row.id,
    name: row.name,
    driver: row.driver,
    created: row.created,
    internal: row.internal !== 0,
    attachable: settings.attachable ?? false,
    labels: JSON.parse(row.labels) as Record<string, string>,
    options,
    pools,
    ipv6: pools.length > 1,
    predefined: isPredefined(row.name),
    ...(row.bridge === null ? {} : { bridge: row.bridge }),
    ...(own[0] === undefined ? {} : own[0]),
    bridgeSettings: readOptions(options),
    place,
    chosen: settings.chosen ?? [],
  };
}

/** Users may choose gateways and prefixes that `--bip` would refuse. */
function placeOfRow(text: string): BridgePlace {
  const block = blockOf(text);
  if (block.prefixLength <= 29) return parsePlace(text);
  const gateway = parseAddress(text.split("/")[0] ?? "") ?? 0;
  return { gateway, subnet: { base: Number(block.base), prefixLength: block.prefixLength } };
}
