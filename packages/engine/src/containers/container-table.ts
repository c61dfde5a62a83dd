import type { Database, Statement } from "bun:sqlite";
import type { PublishedPort } from "@slipway/network";
import type { ImageId } from "@slipway/oci";
import type { ContainerConfig, ContainerMount, ContainerState, EndpointSettings, HostConfig } from "../faces.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";

/** A mount as it was decided when the container was created, with what only its start needs to know. */
export interface DecidedMount extends ContainerMount {
  /** Mount options of a tmpfs; `bind` without submounts for a bind that is not recursive. */
  readonly options: readonly string[];
  /** The request asked for a directory inside the volume or image. */
  readonly subpath?: string;
  /** Made by `-v` when it is missing at a start. */
  readonly createSource?: boolean;
  /** Removed with the container when its volumes are. */
  readonly anonymous?: boolean;
  /** Of a mount of type `image`. */
  readonly imageId?: ImageId;
  /** Whether read-only counts for the mounts below the source too: where the kernel can, always, or never. */
  readonly recursiveReadOnly?: "forced" | "never";
  /** From `Tmpfs`, which inspect does not list among the mounts. */
  readonly hidden?: boolean;
}

/** What is fixed when a container is created. */
export interface ContainerDefinition {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly imageId: ImageId;
  /** Merged with the image's. */
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** The networks that it joins, by name, the first one first. Networks of another kind (`host`) are in `hostConfig` alone. */
  readonly attachments: Readonly<Record<string, EndpointSettings>>;
  /** Containers that it knows by a name of its own, on the default network: alias to ID. */
  readonly links?: Readonly<Record<string, string>>;
  /** Host ports of the last run that nobody had chosen: the next run has the same if they are free. */
  readonly lastPorts?: readonly PublishedPort[];
  readonly path: string;
  readonly args: readonly string[];
  readonly mounts: readonly DecidedMount[];
  /** Of the store. */
  readonly writableId: string;
}

export interface ContainerRow {
  readonly definition: ContainerDefinition;
  readonly name: string;
  readonly state: ContainerState;
  readonly manuallyStopped: boolean;
}

/** As it may lie on the disk: containers of the first engine knew one network. */
type StoredDefinition = Omit<ContainerDefinition, "attachments"> & {
  readonly attachments?: ContainerDefinition["attachments"];
  readonly networks?: ContainerDefinition["attachments"];
};

interface RawRow {
  readonly name: string;
  readonly definition: string;
  readonly state: string;
  readonly manually_stopped: number;
}

/** Containers on disk: one row each, written in one statement each time something changed. */
export class ContainerTable {
  readonly #database: Database;
  readonly #insert: Statement<unknown, [string, string, string, string]>;
  readonly #saveState: Statement<unknown, [string, number, string]>;
  readonly #rename: Statement<unknown, [string, string]>;
  readonly #define: Statement<unknown, [string, string]>;
  readonly #remove: Statement<unknown, [string]>;

  constructor(database: Database) {
    this.#database = database;
    this.#insert = database.query("INSERT INTO engine_containers (id, name, definition, state) VALUES (?, ?, ?, ?)");
    this.#saveState = database.query("UPDATE engine_containers SET state = ?, manually_stopped = ? WHERE id = ?");
    this.#rename = database.query("UPDATE engine_containers SET name = ? WHERE id = ?");
    this.#define = database.query("UPDATE engine_containers SET definition = ? WHERE id = ?");
    this.#remove = database.query("DELETE FROM engine_containers WHERE id = ?");
  }

  all(): ContainerRow[] {
    const rows = this.#database.query<RawRow, []>("SELECT * FROM engine_containers ORDER BY rowid").all();
    return rows.map((row) => ({
      name: row.name,
      definition: complete(JSON.parse(row.definition) as StoredDefinition),
      state: JSON.parse(row.state) as ContainerState,
      manuallyStopped: row.manually_stopped !== 0,
    }));
  }

  insert(definition: ContainerDefinition, name: string, state: ContainerState): void {
    this.#insert.run(definition.id, name, JSON.stringify(definition), JSON.stringify(state));
  }

  saveState(id: string, state: ContainerState, manuallyStopped: boolean): void {
    this.#saveState.run(JSON.stringify(state), manuallyStopped ? 1 : 0, id);
  }

  rename(id: string, name: string): void {
    this.#rename.run(name, id);
  }

  /** A container's limits were updated. */
  define(definition: ContainerDefinition): void {
    this.#define.run(JSON.stringify(definition), definition.id);
  }

  remove(id: string): void {
    this.#remove.run(id);
  }
}

function complete({ attachments, networks = {}, ...rest }: StoredDefinition): ContainerDefinition {
  if (attachments !== undefined) return { ...rest, attachments };
  const mode = parseNetworkMode(rest.hostConfig.NetworkMode ?? "");
  if (mode.kind !== "network") return { ...rest, attachments: {} };
  return { ...rest, attachments: { [mode.name]: networks[mode.name] ?? networks.default ?? {} } };
}
