import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage, shortId } from "@slipway/base";
import { Cgroup, cgroupsPath, type ExitRecord, type KnownExec } from "@slipway/runtime";
import { unmountBelow } from "@slipway/sys";
import type { ContainerContext } from "./containers/container-context.ts";
import { cleanUp, publishDeath, removeEntry, tearDown } from "./containers/container-end.ts";
import { type ContainerEntry, exitEvent } from "./containers/container-index.ts";
import { isAlive } from "./containers/container-life.ts";
import { readRestartPolicy, restartsAfter, startsWithEngine } from "./containers/restart-policy.ts";
import { namesIn } from "./directory-names.ts";
import { removeView } from "./files/opened-root.ts";
import { releaseSubpaths } from "./mounts/subpath-mounts.ts";
import { agree } from "./networks/container-endpoints.ts";

/** The exit code of a container whose end nobody saw: the machine went down with it. */
const UNSEEN_EXIT = 255;

/** A container that its policy starts now. */
export interface Wanted {
  readonly entry: ContainerEntry;
  /** Its restarts are counted anew. Not in a series of failures: the engine's own restart does not make it longer. */
  readonly fresh: boolean;
}

/**
 * Makes the database agree with what really is, after whatever happened while no engine ran: containers that still run are
 * kept, ends during the absence are recorded, leftovers of crashes are removed. Returns the recorded ends, and the
 * containers that their policy starts now.
 */
export async function restoreContainers(context: ContainerContext): Promise<{
  readonly wanted: readonly Wanted[];
  readonly exits: readonly ExitRecord[];
  readonly execs: readonly KnownExec[];
}> {
  const { supervisor, index, networks } = context;
  mkdirSync(context.paths.bundles, { recursive: true, mode: 0o700 });
  const { running, exits, execs = [] } = await supervisor.state();
  const alive = new Map(running.map(({ id, pid }) => [id, pid]));
  const ended = new Map(exits.filter((exit) => exit.execId === undefined).map((exit) => [exit.id, exit]));

  // What is only starting is not among the running yet, but it has a bundle.
  const made = new Set([...alive.keys(), ...namesIn(context.paths.bundles)]);
  for (const id of made) if (index.get(id) === undefined) endStranger(context, id, alive.has(id));
  const wasUp = new Set(index.all().flatMap(({ id, state }) => (isUp(state.status) ? [id] : [])));
  const failing = new Set(index.all().flatMap(({ id, state }) => (state.status === "restarting" ? [id] : [])));
  for (const id of wasUp) if ((ended.get(id)?.exitCode ?? 0) !== 0) failing.add(id);
  for (const entry of index.all()) reconcile(context, entry, alive.get(entry.id), ended.get(entry.id));
  const kept = new Set(index.all().flatMap(({ id, state }) => (isAlive(state.status) ? [id] : [])));
  await removeViews(context);
  removeSubpaths(context);
  await context.volumes.restore((id) => kept.has(id));
  await networks.reconcile(kept);
  for (const entry of index.all()) {
    if (isAlive(entry.state.status)) notePause(context, entry);
    if (entry.state.committing === true) await endCommit(context, entry);
    if (!kept.has(entry.id)) continue;
    const sandbox = networks.sandbox(entry.id);
    entry.endpoints = sandbox?.endpoints ?? [];
    entry.namespacePath = sandbox?.namespacePath;
    await agree(context, entry);
  }
  await removeLeftovers(context, kept);
  const wanted = toStart(context, wasUp).map((entry) => ({ entry, fresh: !failing.has(entry.id) }));
  return { wanted, exits, execs };
}

/** Nobody reads them any more. Unmounted first: what is mounted there is not ours to delete. */
async function removeViews({ paths, log }: ContainerContext): Promise<void> {
  for (const name of namesIn(paths.views)) {
    try {
      unmountBelow(join(paths.views, name));
      await removeView(join(paths.views, name));
    } catch (error) {
      log.warn("a leftover view of a container could not be removed", { view: name, error: errorMessage(error) });
    }
  }
}

/** Those of containers that run are held by the containers alone from now on: the runtime has mounted them there. */
function removeSubpaths({ paths, log }: ContainerContext): void {
  for (const id of namesIn(paths.allSubpaths)) {
    try {
      releaseSubpaths(paths, id);
    } catch (error) {
      log.warn("leftover mounts of a container could not be removed", { container: id, error: errorMessage(error) });
    }
  }
}

function isUp(status: ContainerEntry["state"]["status"]): boolean {
  return isAlive(status) || status === "restarting";
}

/**
 * What has a process or a bundle without a container in the database lost it in a crash between two steps: nobody can ever
 * name it again. The supervisor goes first, or it would keep what has no files any more.
 */
function endStranger(context: ContainerContext, id: string, runs: boolean): void {
  const { supervisor, log, cleanups, paths } = context;
  if (runs) log.warn("ending a container that the database does not know", { container: shortId(id) });
  const end = async (): Promise<void> => {
    try {
      // Ends it first.
      await supervisor.delete(id);
      unmountBelow(paths.bundle(id));
      await rm(paths.bundle(id), { recursive: true, force: true });
    } catch (error) {
      log.warn("it could not be ended", { container: shortId(id), error: errorMessage(error) });
    }
  };
  cleanups.add(end());
}

function reconcile(
  context: ContainerContext,
  entry: ContainerEntry,
  pid: number | undefined,
  exit: ExitRecord | undefined,
): void {
  const { index, now } = context;
  const { status } = entry.state;
  // Otherwise the engine fell in the middle of a start, before it could say so or while it undid what had failed: nobody
  // was told that it runs, and nobody knows what of its network and ports is left. It is ended with the other leftovers.
  if (pid !== undefined && isAlive(status)) return;
  if (status === "restarting") {
    index.apply(entry, { kind: "restart-cancelled" });
    return;
  }
  if (!isAlive(status)) return;
  const seen = exit ?? { id: entry.id, exitCode: UNSEEN_EXIT, oomKilled: false, finishedAt: now() };
  announceEnd(context, entry, seen);
}

/** Who reads the past of the events sees this end too. */
function announceEnd(context: ContainerContext, entry: ContainerEntry, exit: ExitRecord): void {
  const started = entry.state.startedAt ?? exit.finishedAt;
  context.index.apply(entry, exitEvent(exit, false));
  publishDeath(context, entry, exit, exit.finishedAt - started);
}

/** Whether it is paused is the kernel's to say: the engine may have fallen between the freezer and its note of it. */
function notePause(context: ContainerContext, entry: ContainerEntry): void {
  const parent = entry.definition.hostConfig.CgroupParent || undefined;
  const cgroup = new Cgroup(cgroupsPath(entry.id, parent));
  const isFrozen = cgroup.isFrozen();
  if (isFrozen !== (entry.state.status === "paused")) {
    context.index.apply(entry, { kind: isFrozen ? "paused" : "resumed" });
  }
}

/** The engine fell in the middle of a commit: the pause was the commit's, nobody else would end it. */
async function endCommit(context: ContainerContext, entry: ContainerEntry): Promise<void> {
  const { supervisor, index, log } = context;
  try {
    if (entry.state.status === "paused") {
      await supervisor.resume(entry.id);
      index.apply(entry, { kind: "resumed" });
    }
    index.amend(entry, { state: { committing: false } });
  } catch (error) {
    log.warn("a container that was being committed could not be resumed", {
      container: shortId(entry.id),
      error: errorMessage(error),
    });
  }
}

/** Mounts, bundles and files that belong to nothing that runs, or to no container at all. */
async function removeLeftovers(context: ContainerContext, kept: ReadonlySet<string>): Promise<void> {
  const { index, store, paths, log } = context;
  const writables = new Map(index.all().map((entry) => [entry.definition.writableId, entry]));
  for (const writable of store.layers.writables()) {
    const entry = writables.get(writable.id);
    if (entry !== undefined && kept.has(entry.id)) continue;
    try {
      unmountBelow(writable.merged);
      if (entry === undefined) await store.layers.discard(writable);
    } catch (error) {
      log.warn("a leftover layer could not be removed", { path: writable.merged, error: errorMessage(error) });
    }
  }
  for (const name of namesIn(paths.bundles)) {
    const entry = index.get(name);
    // Not waited for: a start of this container waits for it, the engine's need not.
    if (entry !== undefined && !kept.has(name)) cleanUp(context, entry, () => tearDown(context, entry));
  }
  for (const name of namesIn(paths.containers)) {
    if (index.get(name) === undefined) await rm(join(paths.containers, name), { recursive: true, force: true });
  }
}

/** Removes what removes itself; what a policy keeps up is to be started. */
function toStart(context: ContainerContext, wasUp: ReadonlySet<string>): ContainerEntry[] {
  return context.index.all().filter((entry) => {
    const { state, manuallyStopped, definition } = entry;
    if (isAlive(state.status)) return false;
    if (definition.hostConfig.AutoRemove === true && state.status === "exited") {
      removeEntry(context, entry, { volumes: true });
      return false;
    }
    if (state.status !== "exited") return false;
    const policy = readRestartPolicy(definition.hostConfig.RestartPolicy);
    const run = { exitCode: state.exitCode, manuallyStopped, restartCount: state.restartCount };
    return startsWithEngine(policy, run) || (wasUp.has(entry.id) && restartsAfter(policy, run));
  });
}
