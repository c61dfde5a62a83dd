import type { Database } from "bun:sqlite";
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, isError, KeyedLock, nearest, randomId, SlipwayError } from "@slipway/base";
import { directorySize } from "./directory-size.ts";
import type { EventLog } from "./event-log.ts";
import type { Volume } from "./faces.ts";
import { booleanFilter, checkFilters, type Filters, labelsMatch, matchesPattern, untilFilter } from "./filters.ts";
import { checkVolumeName } from "./mount-spec.ts";

export interface VolumeDependencies {
  readonly database: Database;
  /** `volumes` of the data root. */
  readonly root: string;
  /** What is renamed to here is deleted by the store. */
  readonly trash: string;
  readonly events: EventLog;
  /** IDs of the containers that mount a volume. */
  readonly usersOf: (name: string) => readonly string[];
  readonly now: () => number;
}

export interface CreateVolume {
  readonly name?: string;
  readonly driver?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

interface VolumeRow {
  readonly name: string;
  readonly driver: string;
  readonly created: number;
  readonly labels: string;
  readonly options: string;
  readonly anonymous: number;
}

const LIST_FILTERS = ["dangling", "driver", "label", "label!", "name", "scope"];
const PRUNE_FILTERS = ["label", "label!", "all", "until"];

/** Directories with names that outlive containers. */
export class VolumeService {
  readonly #deps: VolumeDependencies;
  readonly #lock = new KeyedLock();
  /** Names that containers in the making need, with how many of them. */
  readonly #reserved = new Map<string, number>();

  constructor(deps: VolumeDependencies) {
    this.#deps = deps;
  }

  async list(filters: Filters): Promise<Volume[]> {
    checkFilters(filters, LIST_FILTERS);
    const dangling = booleanFilter(filters, "dangling");
    return this.#all().filter(
      (volume) =>
        matchesPattern(filters.name, volume.name) &&
        (filters.driver === undefined || filters.driver.includes(volume.driver)) &&
        (filters.scope === undefined || filters.scope.includes("local")) &&
        labelsMatch(filters, volume.labels) &&
        (dangling === undefined || dangling === (this.#deps.usersOf(volume.name).length === 0)),
    );
  }

  /** An existing volume of that name is returned as it is, as Docker does. Throws `conflict` when its driver differs. */
  create(options: CreateVolume): Promise<Volume> {
    const name = options.name === undefined || options.name === "" ? randomId() : options.name;
    checkVolumeName(name);
    const driver = options.driver || "local";
    checkDriver(name, driver, options.options);
    return this.#lock.with(name, () => this.#obtain(name, { ...options, driver, anonymous: !options.name }));
  }

  /** A volume of its own for one container. */
  createAnonymous(name: string, labels: Readonly<Record<string, string>>): Promise<Volume> {
    const marked = { "com.docker.volume.anonymous": "", ...labels };
    return this.#lock.with(name, () =>
      this.#obtain(name, { labels: marked, options: {}, driver: "local", anonymous: true }),
    );
  }

  /** Nobody removes the volume until the returned function is called. It need not exist yet. */
  reserve(name: string): () => void {
    this.#reserved.set(name, (this.#reserved.get(name) ?? 0) + 1);
    return () => {
      const left = (this.#reserved.get(name) ?? 1) - 1;
      if (left === 0) this.#reserved.delete(name);
      else this.#reserved.set(name, left);
    };
  }

  /** Runs `work` while nobody makes or removes the volume: two containers must not fill it at once. */
  whileLocked<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#lock.with(name, work);
  }

  async inspect(name: string): Promise<Volume> {
    return this.find(name) ?? this.#missing(name);
  }

  find(name: string): Volume | undefined {
    const row = this.#deps.database.query<VolumeRow, [string]>("SELECT * FROM engine_volumes WHERE name = ?").get(name);
    return row === null ? undefined : this.#volumeOf(row);
  }

  /** Throws `conflict` while a container has it, `not-found` unless `force`. */
  remove(name: string, force: boolean): Promise<void> {
    return this.#lock.with(name, () => {
      try {
        if (this.find(name) === undefined) this.#missing(name);
        const users = [...this.#deps.usersOf(name), ...(this.#reserved.has(name) ? ["a new container"] : [])];
        if (users.length > 0) {
          throw new SlipwayError("conflict", `remove ${name}: volume is in use - [${users.join(", ")}]`, {
            hint: "Remove these containers first.",
          });
        }
        this.#drop(name);
      } catch (error) {
        if (!(force && isError(error, "not-found"))) throw error;
      }
    });
  }

  /** Unused volumes go: the anonymous ones, with the filter `all` also the named. */
  async prune(filters: Filters): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }> {
    checkFilters(filters, PRUNE_FILTERS);
    const all = booleanFilter(filters, "all") ?? false;
    const until = untilFilter(filters, this.#deps.now());
    const removed: string[] = [];
    let freedBytes = 0;
    for (const volume of this.#all()) {
      if (!(all || volume.anonymous) || !labelsMatch(filters, volume.labels)) continue;
      if ((until !== undefined && volume.created > until) || this.#deps.usersOf(volume.name).length > 0) continue;
      const bytes = await directorySize(volume.mountpoint);
      const gone = await this.#lock.with(volume.name, () => this.#dropUnused(volume.name));
      if (!gone) continue;
      removed.push(volume.name);
      freedBytes += bytes;
    }
    const attributes = { reclaimed: String(freedBytes) };
    this.#deps.events.publish({ type: "volume", action: "prune", id: "", attributes });
    return { removed, freedBytes };
  }

  /** The anonymous volumes of a removed container. One that somebody else mounts too stays. */
  removeAnonymous(names: readonly string[]): void {
    for (const name of names) this.#dropUnused(name);
  }

  /** Bytes and users of every volume, for the disk usage. */
  usage(): Promise<{ readonly volume: Volume; readonly bytes: number; readonly references: number }[]> {
    return Promise.all(
      this.#all().map(async (volume) => ({
        volume,
        bytes: await directorySize(volume.mountpoint),
        references: this.#deps.usersOf(volume.name).length,
      })),
    );
  }

  #all(): Volume[] {
    const rows = this.#deps.database.query<VolumeRow, []>("SELECT * FROM engine_volumes ORDER BY name").all();
    return rows.map((row) => this.#volumeOf(row));
  }

  #volumeOf(row: VolumeRow): Volume {
    return {
      name: row.name,
      driver: row.driver,
      mountpoint: join(this.#deps.root, row.name, "_data"),
      created: row.created,
      labels: JSON.parse(row.labels) as Record<string, string>,
      options: JSON.parse(row.options) as Record<string, string>,
      anonymous: row.anonymous !== 0,
    };
  }

  #obtain(name: string, options: CreateVolume & { readonly driver: string; readonly anonymous: boolean }): Volume {
    const existing = this.find(name);
    if (existing !== undefined) {
      if (existing.driver === options.driver) return existing;
      throw new SlipwayError("conflict", `volume ${name} exists with the driver ${existing.driver}`);
    }
    const { database, root, now, events } = this.#deps;
    // Directory first: the table never names what is not on disk. A crash in between leaves an empty directory, and a
    // second attempt takes it over.
    mkdirSync(join(root, name, "_data"), { recursive: true, mode: 0o755 });
    database
      .query("INSERT INTO engine_volumes VALUES (?, ?, ?, ?, ?, ?)")
      .run(
        name,
        options.driver,
        now(),
        JSON.stringify(options.labels),
        JSON.stringify(options.options),
        options.anonymous ? 1 : 0,
      );
    events.publish({ type: "volume", action: "create", id: name, attributes: { driver: options.driver } });
    return this.find(name) ?? this.#missing(name);
  }

  #dropUnused(name: string): boolean {
    const used = this.#reserved.has(name) || this.#deps.usersOf(name).length > 0;
    if (used || this.find(name) === undefined) return false;
    this.#drop(name);
    return true;
  }

  #drop(name: string): void {
    const { database, root, trash, events } = this.#deps;
    database.query("DELETE FROM engine_volumes WHERE name = ?").run(name);
    try {
      renameSync(join(root, name), join(trash, `volume-${name.slice(0, 64)}-${randomId().slice(0, 12)}`));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    events.publish({ type: "volume", action: "destroy", id: name, attributes: { driver: "local" } });
  }

  #missing(name: string): never {
    const near = nearest(
      name,
      this.#all().map((volume) => volume.name),
    );
    throw new SlipwayError(
      "not-found",
      `get ${name}: no such volume`,
      near === undefined ? {} : { hint: `Did you mean '${near}'?` },
    );
  }
}

function checkDriver(name: string, driver: string, options: Readonly<Record<string, string>>): void {
  if (driver !== "local") {
    throw new SlipwayError(
      "not-found",
      `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      {
        hint: "Only the driver 'local' exists.",
      },
    );
  }
  if (Object.keys(options).length > 0) {
    throw new SlipwayError("not-implemented", `create ${name}: options of the driver 'local' are not supported yet`, {
      hint: "Use a bind mount instead.",
    });
  }
}
