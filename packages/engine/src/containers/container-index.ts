import { didYouMean, SlipwayError } from "@slipway/base";
import type { Endpoint } from "@slipway/network";
import type { ExitRecord } from "@slipway/runtime";
import type { WritableLayer } from "@slipway/store";
import type { ContainerState } from "../faces.ts";
import { INITIAL_STATE, isAlive, type LifeEvent, next } from "./container-life.ts";
import { nameConflict } from "./container-name.ts";
import type { ContainerDefinition, ContainerRow, ContainerTable } from "./container-table.ts";

/** One container in memory: its row, and what only a running engine knows of it. */
export interface ContainerEntry {
  readonly id: string;
  readonly definition: ContainerDefinition;
  readonly name: string;
  readonly state: ContainerState;
  /** Somebody asked for its end: policies leave it alone until it is started by hand. */
  readonly manuallyStopped: boolean;
  /** Cached; the store knows it too. */
  writable: WritableLayer | undefined;
  /** Of the present run. */
  endpoints: readonly Endpoint[];
  /** The file of its network namespace; undefined when that is another's or the host's. */
  namespacePath: string | undefined;
  readonly execIds: Set<string>;
  /** A start is under way; an exit that arrives meanwhile waits for its end. */
  starting: Promise<void> | undefined;
  /** The next start of the restart policy. */
  restart: { readonly delay: number; readonly cancel: () => void } | undefined;
  /** Listeners know that its volumes are mounted. */
  volumesAnnounced: boolean;
  /** Listeners know that it is on its networks. */
  networksAnnounced: boolean;
  /** It is being restarted: it does not remove itself now. */
  stays: boolean;
  /** It is being ended because its health check failed. */
  unhealthy: boolean;
  /** Its clean-up after the last run; a new start waits for it. */
  teardown: Promise<void>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * All containers by ID and by name, in memory and in the table. Each change is committed before anybody can see it.
 * It makes and ends nothing.
 */
export class ContainerIndex {
  readonly #table: ContainerTable;
  readonly #byId = new Map<string, Mutable<ContainerEntry>>();
  readonly #byName = new Map<string, string>();
  /** Those that are linked to others. */
  readonly #linked = new Set<string>();
  readonly #exitWaiters = new Map<string, Set<(state: ContainerState) => void>>();
  readonly #removalWaiters = new Map<string, Set<(state: ContainerState) => void>>();

  constructor(table: ContainerTable) {
    this.#table = table;
    for (const row of table.all()) this.#add(row);
  }

  #add(row: ContainerRow): ContainerEntry {
    const { id } = row.definition;
    const entry: Mutable<ContainerEntry> = {
      id,
      ...row,
      writable: undefined,
      endpoints: [],
      namespacePath: undefined,
      execIds: new Set(),
      starting: undefined,
      restart: undefined,
      volumesAnnounced: isAlive(row.state.status),
      networksAnnounced: isAlive(row.state.status),
      stays: false,
      unhealthy: false,
      teardown: Promise.resolve(),
    };
    this.#byId.set(id, entry);
    this.#byName.set(row.name, id);
    if (row.definition.links !== undefined) this.#linked.add(id);
    return entry;
  }

  /** Throws `conflict` when the name is taken. */
  create(definition: ContainerDefinition, name: string): ContainerEntry {
    this.assertFree(name);
    this.#table.insert(definition, name, INITIAL_STATE);
    return this.#add({ definition, name, state: INITIAL_STATE, manuallyStopped: false });
  }

  assertFree(name: string): void {
    const holder = this.#byName.get(name);
    if (holder !== undefined) throw nameConflict(name, holder);
  }

  isTaken(name: string): boolean {
    return this.#byName.has(name);
  }

  get(id: string): ContainerEntry | undefined {
    return this.#byId.get(id);
  }

  all(): ContainerEntry[] {
    return [...this.#byId.values()];
  }

  /** `/web/database` for each container that is linked to this one. */
  linkNames(id: string): string[] {
    const linked = [...this.#linked].flatMap((each) => this.#byId.get(each) ?? []);
    return linked.flatMap(({ name, definition }) =>
      Object.entries(definition.links ?? {}).flatMap(([alias, to]) => (to === id ? [`/${name}/${alias}`] : [])),
    );
  }

  /** By ID, name or unique beginning of an ID. Throws `not-found`, or `invalid` when several begin so. */
  resolve(nameOrId: string): ContainerEntry {
    const text = nameOrId.replace(/^\//, "");
    const exact = this.#byId.get(text) ?? this.#byId.get(this.#byName.get(text) ?? "");
    if (exact !== undefined) return exact;
    const found = /^[0-9a-f]+$/.test(text) ? this.all().filter(({ id }) => id.startsWith(text)) : [];
    if (found.length > 1) throw new SlipwayError("invalid", `Multiple IDs found with provided prefix: ${text}`);
    const [entry] = found;
    if (entry !== undefined) return entry;
    const names = this.#byName.keys();
    throw new SlipwayError("not-found", `No such container: ${nameOrId}`, didYouMean(text, names));
  }

  /** The container's next state, committed. Throws what the state machine throws. */
  apply(entry: ContainerEntry, event: LifeEvent, changes: { readonly manuallyStopped?: boolean } = {}): ContainerState {
    const before = entry.state.status;
    const state = next(entry.state, event, `container ${entry.id}`);
    this.#save(entry, state, changes.manuallyStopped ?? entry.manuallyStopped);
    const ended = (isAlive(before) || before === "restarting") && !isAlive(state.status);
    if (ended) this.#wake(this.#exitWaiters, entry.id, state);
    return state;
  }

  /** Facts that are not a change of life: a health check's result, that somebody asked for the end. */
  amend(
    entry: ContainerEntry,
    changes: {
      readonly state?: Partial<Pick<ContainerState, "health" | "error" | "committing">>;
      readonly manuallyStopped?: boolean;
    },
  ): void {
    this.#save(entry, { ...entry.state, ...changes.state }, changes.manuallyStopped ?? entry.manuallyStopped);
  }

  #save(entry: ContainerEntry, state: ContainerState, manuallyStopped: boolean): void {
    const mutable = this.#mutable(entry);
    this.#table.saveState(entry.id, state, manuallyStopped);
    mutable.state = state;
    mutable.manuallyStopped = manuallyStopped;
  }

  /** Its limits were updated. */
  redefine(entry: ContainerEntry, definition: ContainerDefinition): void {
    const mutable = this.#mutable(entry);
    this.#table.define(definition);
    mutable.definition = definition;
  }

  rename(entry: ContainerEntry, name: string): void {
    this.assertFree(name);
    const mutable = this.#mutable(entry);
    this.#table.rename(entry.id, name);
    this.#byName.delete(entry.name);
    this.#byName.set(name, entry.id);
    mutable.name = name;
  }

  /** The container is gone: its name is free, who waits for its end or removal learns it. */
  remove(entry: ContainerEntry, last: ContainerState = entry.state): void {
    this.#table.remove(entry.id);
    this.#byId.delete(entry.id);
    // By now the name may be another's.
    if (this.#byName.get(entry.name) === entry.id) this.#byName.delete(entry.name);
    this.#linked.delete(entry.id);
    this.#wake(this.#exitWaiters, entry.id, last);
    this.#wake(this.#removalWaiters, entry.id, last);
  }

  #mutable(entry: ContainerEntry): Mutable<ContainerEntry> {
    const mutable = this.#byId.get(entry.id);
    if (mutable === undefined) throw new SlipwayError("not-found", `No such container: ${entry.id}`);
    return mutable;
  }

  /** Resolves when a run, or the wait for the next one, ends (or the container is removed). Registered when this returns. */
  nextExit(id: string, signal?: AbortSignal): Promise<ContainerState> {
    return wait(this.#exitWaiters, id, signal);
  }

  /** Resolves when the container was removed. Registered when this returns. */
  removal(id: string, signal?: AbortSignal): Promise<ContainerState> {
    return wait(this.#removalWaiters, id, signal);
  }

  #wake(waiters: Map<string, Set<(state: ContainerState) => void>>, id: string, state: ContainerState): void {
    const waiting = waiters.get(id);
    waiters.delete(id);
    for (const wake of waiting ?? []) wake(state);
  }
}

function wait(
  waiters: Map<string, Set<(state: ContainerState) => void>>,
  id: string,
  signal: AbortSignal | undefined,
): Promise<ContainerState> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const waiting = waiters.get(id) ?? new Set();
    waiters.set(id, waiting);
    const wake = (state: ContainerState): void => {
      signal?.removeEventListener("abort", leave);
      resolve(state);
    };
    const leave = (): void => {
      waiting.delete(wake);
      if (waiting.size === 0 && waiters.get(id) === waiting) waiters.delete(id);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    waiting.add(wake);
  });
}

/** An exit as the state machine takes it. */
export function exitEvent(exit: ExitRecord, again: boolean): LifeEvent {
  const { exitCode, oomKilled, finishedAt: at } = exit;
  return { kind: "exited", exitCode, oomKilled, at, again };
}
