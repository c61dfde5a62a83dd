import type { Database } from "bun:sqlite";
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { didYouMean, errnoOf, isError, KeyedLock, randomId, SlipwayError } from "@slipway/base";
import type { RestorableStore, TakeStamp } from "@slipway/store";
import type { EventLog } from "../events/event-log.ts";
import type { Volume } from "../faces.ts";
import { directorySize } from "../files/directory-size.ts";
import { booleanFilter, checkFilters, type Filters, labelsMatch, matchesPattern, untilFilter } from "../filters.ts";
import { checkVolumeName } from "../settings/mount-spec.ts";
import { checkLocalOptions, hasMount, isMountedVolume, mountLocal, unmountLocal } from "./local-mount.ts";
import { deleteRow, insertRow, readRow, renamedRow, type VolumeRow } from "./volume-row.ts";

export interface VolumeDependencies {
  readonly database: Database;
  /** `volumes` of the data root. */
  readonly root: string;
  /** What is renamed to here is deleted by the store. */
  readonly trash: string;
  /** Where a prune may put them. */
  readonly restorables: RestorableStore;
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

const LIST_FILTERS = ["dangling", "driver", "label", "label!", "name", "scope"];
const PRUNE_FILTERS = ["label", "label!", "all", "until"];

/** Directories with names that outlive containers; those with options are places where something else is mounted. */
export class VolumeService {
  readonly #deps: VolumeDependencies;
  readonly #lock = new KeyedLock();
  /** Names that containers in the making need, with how many of them. */
  readonly #reserved = new Map<string, number>();
  /** Who uses what is mounted at volumes with options. */
  readonly #holders = new Map<string, Set<string>>();

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
    checkDriver(name, driver);
    checkLocalOptions(name, options.options);
    return this.#lock.with(name, () => this.#obtain(name, { ...options, driver, anonymous: !options.name }));
  }

  /** A volume of its own for one container. */
  createAnonymous(name: string, { labels, options, driver }: Required<Omit<CreateVolume, "name">>): Promise<Volume> {
    checkDriver(name, driver);
    checkLocalOptions(name, options);
    const marked = { "com.docker.volume.anonymous": "", ...labels };
    return this.#lock.with(name, () => this.#obtain(name, { labels: marked, options, driver, anonymous: true }));
  }

  /**
   * Mounts what the volume's options name, with its first holder: a container's ID, or whoever looks into it. Throws the
   * kernel's reason.
   */
  acquire(name: string, holder: string): Promise<void> {
    return this.#lock.with(name, async () => {
      const volume = this.find(name);
      if (volume === undefined || !isMountedVolume(volume)) return;
      const holders = this.#holders.get(name) ?? new Set();
      if (holders.size === 0 && !hasMount(volume.mountpoint)) await mountLocal(volume);
      this.#holders.set(name, holders.add(holder));
    });
  }

  /** Unmounts it with the last holder. Again does nothing. */
  release(name: string, holder: string): Promise<void> {
    return this.#lock.with(name, () => {
      const holders = this.#holders.get(name);
      if (holders?.delete(holder) !== true || holders.size > 0) return;
      this.#holders.delete(name);
      const volume = this.find(name);
      if (volume !== undefined) unmountLocal(volume.mountpoint);
    });
  }

  /** After an engine's end by whatever: mounts of containers that ran on are held by them, the others are undone. */
  async restore(isAlive: (containerId: string) => boolean): Promise<void> {
    for (const volume of this.#all().filter(isMountedVolume)) {
      const alive = this.#deps.usersOf(volume.name).filter(isAlive);
      if (alive.length === 0) unmountLocal(volume.mountpoint);
      else this.#holders.set(volume.name, new Set(alive));
    }
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
    const row = this.#row(name);
    return row === null ? undefined : this.#volumeOf(row);
  }

  #row(name: string): VolumeRow | null {
    return this.#deps.database.query<VolumeRow, [string]>("SELECT * FROM engine_volumes WHERE name = ?").get(name);
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

  /**
   * Unused volumes go: the anonymous ones, with the filter `all` also the named. Those that `keep` gives a stamp can be
   * brought back, and free nothing yet.
   */
  async prune(
    filters: Filters,
    keep: (volume: Volume) => TakeStamp | undefined = () => undefined,
  ): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }> {
    const removed: string[] = [];
    let freedBytes = 0;
    for (const volume of this.prunable(filters)) {
      const bytes = await ownBytes(volume);
      const gone = await this.#lock.with(volume.name, () => this.#dropUnused(volume.name, keep(volume), bytes));
      if (gone === "used") continue;
      removed.push(volume.name);
      if (gone === "removed") freedBytes += bytes;
    }
    const attributes = { reclaimed: String(freedBytes) };
    this.#deps.events.publish({ type: "volume", action: "prune", id: "", attributes });
    return { removed, freedBytes };
  }

  /** What `prune` would remove if the containers in `gone` were gone already. Throws `invalid` for unknown filters. */
  prunable(filters: Filters, gone: { has(containerId: string): boolean } = new Set()): Volume[] {
    checkFilters(filters, PRUNE_FILTERS);
    const all = booleanFilter(filters, "all") ?? false;
    const until = untilFilter(filters, this.#deps.now());
    return this.#all().filter(
      (volume) =>
        (all || volume.anonymous) &&
        labelsMatch(filters, volume.labels) &&
        (until === undefined || volume.created <= until) &&
        this.#deps.usersOf(volume.name).every((id) => gone.has(id)),
    );
  }

  bytesOf(volume: Volume): Promise<number> {
    return ownBytes(volume);
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
        bytes: await ownBytes(volume),
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
      const asksForNothing = Object.keys(options.options).length === 0;
      if (existing.driver === options.driver && (asksForNothing || isSame(existing.options, options.options))) {
        return existing;
      }
      throw new SlipwayError(
        "conflict",
        `A volume named ${name} already exists with other options of the ${existing.driver} driver. Choose a different volume name.`,
      );
    }
    const { database, root, now, events } = this.#deps;
    // Directory first: the table never names what is not on disk. A crash in between leaves an empty directory, and a
    // second attempt takes it over.
    mkdirSync(join(root, name, "_data"), { recursive: true, mode: 0o755 });
    insertRow(database, {
      ...{ name, driver: options.driver, created: now(), anonymous: options.anonymous ? 1 : 0 },
      ...{ labels: JSON.stringify(options.labels), options: JSON.stringify(options.options) },
    });
    events.publish({ type: "volume", action: "create", id: name, attributes: { driver: options.driver } });
    return this.find(name) ?? this.#missing(name);
  }

  /** Brings one back that a prune took, perhaps under another name. Throws `conflict` when the name is taken. */
  bringBack(item: { readonly id: string; readonly target: string }, name: string): Promise<Volume> {
    checkVolumeName(name);
    return this.#lock.with(name, () => {
      if (this.find(name) !== undefined) {
        throw new SlipwayError("conflict", `a volume named ${name} already exists`, {
          hint: `Bring it back under another name: slipway system undo ${item.id} --as NAME`,
        });
      }
      const { database, restorables, events } = this.#deps;
      restorables.restoreVolume(item.id, name, {
        remember: (record) =>
          insertRow(database, name === item.target ? readRow(record) : renamedRow(readRow(record), name)),
        forget: () => deleteRow(database, name),
      });
      const volume = this.find(name) ?? this.#missing(name);
      events.publish({ type: "volume", action: "create", id: name, attributes: { driver: volume.driver } });
      return volume;
    });
  }

  #dropUnused(name: string, stamp?: TakeStamp, bytes = 0): "used" | "taken" | "removed" {
    const used = this.#reserved.has(name) || this.#deps.usersOf(name).length > 0;
    const row = this.#row(name);
    if (used || row === null) return "used";
    if (stamp !== undefined && this.#take(row, bytes, stamp)) return "taken";
    this.#drop(name);
    return "removed";
  }

  /** False when it has no files that could be kept. */
  #take(row: VolumeRow, bytes: number, stamp: TakeStamp): boolean {
    const { database, root, restorables, events } = this.#deps;
    unmountLocal(join(root, row.name, "_data"));
    this.#holders.delete(row.name);
    const forget = () => deleteRow(database, row.name);
    try {
      restorables.takeVolume({ name: row.name, bytes, record: JSON.stringify(row), forget }, stamp);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw error;
    }
    events.publish({ type: "volume", action: "destroy", id: row.name, attributes: { driver: "local" } });
    return true;
  }

  #drop(name: string): void {
    const { database, root, trash, events } = this.#deps;
    // What is mounted there is not the volume's: it must not be deleted with it.
    unmountLocal(join(root, name, "_data"));
    this.#holders.delete(name);
    deleteRow(database, name);
    try {
      renameSync(join(root, name), join(trash, `volume-${name.slice(0, 64)}-${randomId().slice(0, 12)}`));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    events.publish({ type: "volume", action: "destroy", id: name, attributes: { driver: "local" } });
  }

  #missing(name: string): never {
    const names = this.#all().map((volume) => volume.name);
    throw new SlipwayError("not-found", `get ${name}: no such volume`, didYouMean(name, names));
  }
}

/** What is mounted at a volume with options lies elsewhere. */
async function ownBytes(volume: Volume): Promise<number> {
  return isMountedVolume(volume) ? 0 : directorySize(volume.mountpoint);
}

function isSame(one: Readonly<Record<string, string>>, two: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(two).length && keys.every((key) => one[key] === two[key]);
}

function checkDriver(name: string, driver: string): void {
  if (driver === "local") return;
  throw new SlipwayError(
    "not-found",
    `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
    { hint: "Only the driver 'local' exists." },
  );
}
