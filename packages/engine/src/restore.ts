import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, errorMessage, shortId } from "@slipway/base";
import type { ExitRecord } from "@slipway/runtime";
import { unmountBelow } from "@slipway/sys";
import type { ContainerContext } from "./container-context.ts";
import { removeEntry, tearDown } from "./container-end.ts";
import { type ContainerEntry, exitEvent } from "./container-index.ts";
import { isAlive } from "./container-life.ts";
import { readRestartPolicy, restartsAfter, startsWithEngine } from "./restart-policy.ts";

/** The exit code of a container whose end nobody saw: the machine went down with it. */
const UNSEEN_EXIT = 255;

/**
 * Makes the database agree with what really is, after whatever happened while no engine ran: containers that still run are
 * kept, ends during the absence are recorded, leftovers of crashes are removed. Returns the recorded ends, and the
 * containers that their policy starts now.
 */
export async function restoreContainers(
  context: ContainerContext,
): Promise<{ readonly wanted: readonly ContainerEntry[]; readonly exits: readonly ExitRecord[] }> {
  const { supervisor, index, networks } = context;
  const { running, exits } = await supervisor.state();
  const alive = new Map(running.map(({ id, pid }) => [id, pid]));
  const ended = new Map(exits.filter((exit) => exit.execId === undefined).map((exit) => [exit.id, exit]));

  await endStrangers(context, [...alive.keys()]);
  const wasUp = new Set(index.all().flatMap(({ id, state }) => (isUp(state.status) ? [id] : [])));
  for (const entry of index.all()) reconcile(context, entry, alive.get(entry.id), ended.get(entry.id));
  const kept = new Set(index.all().flatMap(({ id, state }) => (isAlive(state.status) ? [id] : [])));
  await networks.reconcile(kept);
  for (const entry of index.all()) {
    if (kept.has(entry.id)) entry.endpoints = networks.sandbox(entry.id)?.endpoints ?? [];
  }
  await removeLeftovers(context, kept);
  return { wanted: toStart(context, wasUp), exits };
}

function isUp(status: ContainerEntry["state"]["status"]): boolean {
  return isAlive(status) || status === "restarting";
}

/** What runs without a container in the database lost it in a crash between two steps: nobody can ever name it again. */
async function endStrangers(context: ContainerContext, ids: readonly string[]): Promise<void> {
  const { supervisor, index, log } = context;
  const strangers = ids.filter((id) => index.get(id) === undefined);
  await Promise.all(
    strangers.map(async (id) => {
      log.warn("ending a container that the database does not know", { container: shortId(id) });
      await supervisor.signal(id, 9, { all: true }).catch((error) => {
        log.warn("it could not be ended", { container: shortId(id), error: errorMessage(error) });
      });
    }),
  );
}

function reconcile(
  context: ContainerContext,
  entry: ContainerEntry,
  pid: number | undefined,
  exit: ExitRecord | undefined,
): void {
  const { index, now } = context;
  const { status } = entry.state;
  if (pid !== undefined) {
    // It was started, but the engine fell before it could say so.
    if (!isUp(status)) index.apply(entry, { kind: "started", pid, at: now(), fresh: true });
    else if (status === "restarting") index.apply(entry, { kind: "started", pid, at: now(), fresh: false });
    return;
  }
  if (status === "restarting") {
    index.apply(entry, { kind: "restart-cancelled" });
    return;
  }
  if (!isAlive(status)) return;
  const seen = exit ?? { id: entry.id, exitCode: UNSEEN_EXIT, oomKilled: false, finishedAt: now() };
  index.apply(entry, exitEvent(seen, false));
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
    if (kept.has(name)) continue;
    const entry = index.get(name);
    if (entry === undefined) await rm(join(paths.bundles, name), { recursive: true, force: true });
    else await tearDown(context, entry);
  }
  for (const name of namesIn(paths.containers)) {
    if (index.get(name) === undefined) await rm(join(paths.containers, name), { recursive: true, force: true });
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
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
