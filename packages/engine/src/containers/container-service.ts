import { errorMessage, isError, SlipwayError, shortId } from "@slipway/base";
import {
  type ExitRecord,
  type LogOutput,
  type LogQuery,
  type LogSource,
  readLogs,
  type StdioSession,
} from "@slipway/runtime";
import type { Image } from "@slipway/store";
import type { ContainerLimits, CreateContainer } from "../faces.ts";
import { directorySize } from "../files/directory-size.ts";
import type { Filters } from "../filters.ts";
import { renameEndpoints } from "../networks/container-endpoints.ts";
import { removeLink } from "../networks/default-links.ts";
import { prunableContainers } from "../prune/prunable.ts";
import { parseLogConfig } from "../settings/log-config.ts";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import { createContainer } from "./container-create.ts";
import { endRun, removeEntry } from "./container-end.ts";
import type { ContainerEntry } from "./container-index.ts";
import { isAlive, next } from "./container-life.ts";
import { selectContainers } from "./container-list.ts";
import { parseContainerName } from "./container-name.ts";
import { containerProcesses, type ProcessTable, processTable } from "./container-processes.ts";
import { startContainer } from "./container-start.ts";
import { type StatsSample, watchStats } from "./container-stats.ts";
import { cancelRestart, forceEnd, killContainer, type StopOptions, stopContainer } from "./container-stop.ts";
import { checkUpdate, updateLimits } from "./container-update.ts";
import { type ContainerListItem, listItemOf } from "./container-view.ts";
import { reasonOf } from "./ended-meanwhile.ts";
import { OpenSessions } from "./open-sessions.ts";

export interface WaitOptions {
  readonly condition: "not-running" | "next-exit" | "removed";
  readonly signal: AbortSignal;
  /** Called once a later exit can no longer be missed. */
  readonly registered: () => void;
}

/** Told of each run's beginning and end. */
export interface RunWatcher {
  onRun(entry: ContainerEntry): void;
  onEnd(entry: ContainerEntry): void;
}

/**
 * Containers as Docker's API sees them. It has more methods than a good interface should, because the API has: each is
 * only the way from a name to the part that does the work (`container-*.ts`), under the container's lock where two could
 * get into each other's way.
 */
export class ContainerService {
  readonly #context: ContainerContext;
  readonly #watcher: RunWatcher;
  readonly #sessions = new OpenSessions();
  /** The engine ends: what waits for its restart is started by the next one. */
  #ending = false;

  constructor(context: ContainerContext, watcher: RunWatcher) {
    this.#context = context;
    this.#watcher = watcher;
  }

  async create(request: CreateContainer): Promise<{ readonly id: string; readonly warnings: readonly string[] }> {
    const { entry, warnings } = await createContainer(this.#context, request);
    return { id: entry.id, warnings };
  }

  /** Throws `not-modified` when it runs already. */
  async start(nameOrId: string): Promise<void> {
    const entry = this.#resolve(nameOrId);
    cancelRestart(this.#context, entry);
    entry.restart = undefined;
    await this.#run(entry, true);
  }

  /** With the engine, because the container's policy keeps it up. */
  startByPolicy(entry: ContainerEntry, { fresh }: { readonly fresh: boolean }): Promise<void> {
    return this.#run(entry, fresh);
  }

  async #run(entry: ContainerEntry, fresh: boolean): Promise<void> {
    await this.#context.lock.with(entry.id, () => {
      // Whoever had the lock before may have removed it.
      if (this.#context.index.get(entry.id) === undefined) {
        throw new SlipwayError("not-found", `No such container: ${entry.id}`);
      }
      return startContainer(this.#context, entry, { fresh });
    });
    if (isAlive(entry.state.status)) this.#watcher.onRun(entry);
  }

  /** Called for each exit of a container's own process. Resolves when it is committed. */
  async handleExit(exit: ExitRecord): Promise<void> {
    const entry = this.#context.index.get(exit.id);
    if (entry === undefined) return;
    await entry.starting;
    await this.#sessions.drained(entry.id);
    this.#watcher.onEnd(entry);
    endRun(this.#context, entry, exit, (each, delay) => this.scheduleRestart(each, delay));
  }

  /** Starts the container by its policy after a while, in milliseconds. */
  scheduleRestart(entry: ContainerEntry, delay: number): void {
    if (this.#ending) return;
    const timer = setTimeout(() => void this.#restartByPolicy(entry), delay);
    entry.restart = { delay, cancel: () => clearTimeout(timer) };
  }

  async #restartByPolicy(entry: ContainerEntry): Promise<void> {
    if (this.#ending || entry.state.status !== "restarting") return;
    try {
      await this.#run(entry, false);
    } catch (error) {
      const fields = { container: shortId(entry.id), error: errorMessage(error) };
      this.#context.log.warn("a container could not be restarted", fields);
    }
  }

  /** After the engine's start: what ran on is watched again. */
  watchRunning(): void {
    for (const entry of this.#context.index.all()) if (isAlive(entry.state.status)) this.#watcher.onRun(entry);
  }

  /** At the engine's end: nothing is started by itself any more, health is no longer looked after. */
  stopWatching(): void {
    this.#ending = true;
    for (const entry of this.#context.index.all()) {
      entry.restart?.cancel();
      this.#watcher.onEnd(entry);
    }
  }

  /** Ends a container with the engine: its policy may start it again with the next one. `timeout` in seconds. */
  async shutDown(id: string, timeout: number): Promise<void> {
    const entry = this.#resolve(id);
    try {
      await stopContainer(this.#context, entry, { timeout });
      if (this.#context.index.get(id) !== undefined) this.#context.index.amend(entry, { manuallyStopped: false });
    } catch (error) {
      if (isError(error, "not-modified")) return;
      this.#context.log.warn("a container could not be stopped", {
        container: shortId(id),
        error: errorMessage(error),
      });
    }
  }

  counts(): Readonly<Record<"running" | "paused" | "stopped", number>> {
    const counts = { running: 0, paused: 0, stopped: 0 };
    for (const { state } of this.#context.index.all()) {
      counts[state.status === "running" || state.status === "paused" ? state.status : "stopped"]++;
    }
    return counts;
  }

  /** Throws `not-modified` when it is not running. */
  stop(nameOrId: string, options: StopOptions): Promise<void> {
    return stopContainer(this.#context, this.#resolve(nameOrId), options);
  }

  async restart(nameOrId: string, options: StopOptions): Promise<void> {
    const entry = this.#resolve(nameOrId);
    if (isAlive(entry.state.status) || entry.state.status === "restarting") {
      entry.stays = true;
      try {
        await stopContainer(this.#context, entry, options);
      } finally {
        entry.stays = false;
      }
    }
    entry.restart = undefined;
    await this.#run(entry, true);
    publishContainerEvent(this.#context, entry, "restart");
  }

  kill(nameOrId: string, signal: string): Promise<void> {
    return killContainer(this.#context, this.#resolve(nameOrId), signal);
  }

  pause(nameOrId: string): Promise<void> {
    return this.#switch(nameOrId, "paused", "pause");
  }

  unpause(nameOrId: string): Promise<void> {
    return this.#switch(nameOrId, "resumed", "unpause");
  }

  #switch(nameOrId: string, kind: "paused" | "resumed", action: "pause" | "unpause"): Promise<void> {
    const entry = this.#resolve(nameOrId);
    return this.#context.lock.with(entry.id, async () => {
      next(entry.state, { kind }, `container ${entry.id}`);
      try {
        if (kind === "paused") await this.#context.supervisor.pause(entry.id);
        else await this.#context.supervisor.resume(entry.id);
      } catch (error) {
        throw kind === "paused" ? reasonOf(entry, error) : error;
      }
      // Throws when it ended meanwhile, which is the right answer.
      this.#context.index.apply(entry, { kind });
      publishContainerEvent(this.#context, entry, action);
    });
  }

  async rename(nameOrId: string, newName: string): Promise<void> {
    const entry = this.#resolve(nameOrId);
    if (newName === "") throw new SlipwayError("invalid", "Neither old nor new names may be empty");
    const name = parseContainerName(newName);
    const old = entry.name;
    if (name === old) {
      throw new SlipwayError("invalid", "Renaming a container with the same name as its current name");
    }
    this.#context.index.rename(entry, name);
    renameEndpoints(this.#context, entry);
    publishContainerEvent(this.#context, entry, "rename", { oldName: `/${old}` });
  }

  /** Throws `conflict` while it runs, unless `force`. Its files are removed while nobody waits. */
  async remove(nameOrId: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    const entry = this.#resolve(nameOrId);
    const { index, lock } = this.#context;
    if (options.force) await forceEnd(this.#context, entry);
    await lock.with(entry.id, () => {
      // One that removes itself has gone with its end.
      if (index.get(entry.id) === undefined) return;
      const subject = `cannot remove container "/${entry.name}": container`;
      next(entry.state, { kind: "removal-requested" }, subject);
      removeEntry(this.#context, entry, { volumes: options.volumes });
    });
  }

  /** Forgets the link by which a container knows another as `alias`. */
  async removeLink(nameOrId: string, alias: string): Promise<void> {
    removeLink(this.#context, nameOrId, alias);
  }

  async wait(nameOrId: string, options: WaitOptions): Promise<{ readonly exitCode: number; readonly error?: string }> {
    const entry = this.#resolve(nameOrId);
    const { index } = this.#context;
    const busy = (): boolean => isAlive(entry.state.status) || entry.state.status === "restarting";
    let state = entry.state;
    if (options.condition === "not-running") {
      // As in Docker the exit counts, also of a container that is started again at once.
      if (busy()) {
        const exit = index.nextExit(entry.id, options.signal);
        options.registered();
        state = await exit;
      } else options.registered();
    } else {
      const wait = options.condition === "removed" ? index.removal : index.nextExit;
      const end = wait.call(index, entry.id, options.signal);
      options.registered();
      state = await end;
    }
    return { exitCode: state.exitCode, ...(state.error === "" ? {} : { error: state.error }) };
  }

  /** The live stdio. Opened before the start it misses nothing. */
  async attach(
    nameOrId: string,
    options: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
  ): Promise<StdioSession> {
    const entry = this.#resolve(nameOrId);
    if (entry.state.status === "paused") {
      throw new SlipwayError("conflict", `container ${entry.id} is paused, unpause the container before attach`);
    }
    if (entry.state.status === "restarting") {
      throw new SlipwayError("conflict", `container ${entry.id} is restarting, wait until the container is running`);
    }
    const stdin = options.stdin && entry.definition.config.OpenStdin === true;
    const session = await this.#context.supervisor.attach(entry.id, { stdin });
    publishContainerEvent(this.#context, entry, "attach");
    return this.#sessions.watch(entry.id, session);
  }

  async logs(nameOrId: string, query: LogQuery): Promise<LogOutput> {
    const entry = this.#resolve(nameOrId);
    if (!query.stdout && !query.stderr) {
      throw new SlipwayError("invalid", "Bad parameters: you must choose at least one stream");
    }
    const policy = parseLogConfig(entry.definition.hostConfig.LogConfig, this.#context.logPolicy);
    if (policy.driver === "none") {
      throw new SlipwayError("not-implemented", "configured logging driver does not support reading");
    }
    const source = { id: entry.id, directory: this.#context.paths.home(entry.id), driver: policy.driver };
    // Registered before the first line is read: an end in between is not missed.
    return query.follow ? this.#follow(entry, source, query) : readLogs(source, query);
  }

  /** Goes on over restarts; ends with the run that nothing follows. */
  #follow(entry: ContainerEntry, source: LogSource, query: LogQuery): LogOutput {
    const left = new AbortController();
    const signal = query.signal === undefined ? left.signal : AbortSignal.any([query.signal, left.signal]);
    return readLogs({ ...source, ended: this.#endOf(entry, signal), onClosed: () => left.abort() }, query);
  }

  async #endOf(entry: ContainerEntry, signal: AbortSignal): Promise<void> {
    const { index } = this.#context;
    const busy = (): boolean => isAlive(entry.state.status) || entry.state.status === "restarting";
    while (busy() && index.get(entry.id) !== undefined && !signal.aborted) {
      await index.nextExit(entry.id, signal).catch(() => {});
    }
  }

  async resize(nameOrId: string, size: { readonly rows: number; readonly columns: number }): Promise<void> {
    const entry = this.#running(nameOrId);
    await this.#context.supervisor.resize(entry.id, size);
    const attributes = { height: String(size.rows), width: String(size.columns) };
    publishContainerEvent(this.#context, entry, "resize", attributes);
  }

  async top(nameOrId: string, psArgs: string): Promise<ProcessTable> {
    const entry = this.#running(nameOrId);
    const table = await processTable(containerProcesses(entry.definition), psArgs);
    publishContainerEvent(this.#context, entry, "top");
    return table;
  }

  /** What it uses now, then each second until it is gone; one that does not run has no usage. */
  async stats(nameOrId: string, options: { readonly signal: AbortSignal }): Promise<AsyncIterable<StatsSample>> {
    return watchStats(this.#context, this.#resolve(nameOrId), options.signal);
  }

  /** Other limits, at once where it runs. Throws `conflict` when they do not go with those it has. */
  async update(nameOrId: string, limits: ContainerLimits): Promise<{ readonly warnings: readonly string[] }> {
    checkUpdate(limits);
    const entry = this.#resolve(nameOrId);
    const warnings = await this.#context.lock.with(entry.id, () => updateLimits(this.#context, entry, limits));
    return { warnings };
  }

  async list(options: {
    readonly all: boolean;
    readonly limit?: number;
    readonly size: boolean;
    readonly filters: Filters;
  }): Promise<ContainerListItem[]> {
    const { index } = this.#context;
    const resolve = (name: string): ContainerEntry => index.resolve(name);
    const selected = selectContainers(index.all(), options, { store: this.#context.store, resolve });
    const names = new Map<string, Image | undefined>();
    return Promise.all(selected.map((entry) => listItemOf(this.#context, entry, { size: options.size, names })));
  }

  async inspect(nameOrId: string, options: { readonly size?: boolean } = {}): Promise<ContainerListItem> {
    const entry = this.#resolve(nameOrId);
    return listItemOf(this.#context, entry, { size: options.size === true, names: new Map() });
  }

  /** Removes what does not run. */
  async prune(filters: Filters): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }> {
    const { index, store, lock } = this.#context;
    const removed: string[] = [];
    const cleared: Promise<void>[] = [];
    let freedBytes = 0;
    for (const entry of prunableContainers(this.#context, filters)) {
      const upper = store.layers.writable(entry.definition.writableId)?.upper;
      const bytes = upper === undefined ? 0 : await directorySize(upper);
      const gone = await lock.with(entry.id, () => {
        // It may have been started while its size was counted.
        if (index.get(entry.id) === undefined || isAlive(entry.state.status)) return false;
        removeEntry(this.#context, entry, { volumes: false });
        return true;
      });
      if (!gone) continue;
      removed.push(entry.id);
      cleared.push(entry.teardown);
      freedBytes += bytes;
    }
    // Until its writable layer is gone a container keeps layers: images pruned next would free nothing.
    await Promise.all(cleared);
    const attributes = { reclaimed: String(freedBytes) };
    this.#context.events.publish({ type: "container", action: "prune", id: "", attributes });
    return { removed, freedBytes };
  }

  #resolve(nameOrId: string): ContainerEntry {
    return this.#context.index.resolve(nameOrId);
  }

  #running(nameOrId: string): ContainerEntry {
    const entry = this.#resolve(nameOrId);
    if (!isAlive(entry.state.status)) {
      throw new SlipwayError("conflict", `container ${entry.id} is not running`);
    }
    return entry;
  }
}
