import { rm } from "node:fs/promises";
import { errnoOf, errorMessage, shortId } from "@slipway/base";
import type { ExitRecord } from "@slipway/runtime";
import { unmount } from "@slipway/sys";
import { releaseMounts } from "../mounts/runtime-mounts.ts";
import { publishNetworkEvent } from "../networks/network-events.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { announceUnmounts } from "../volumes/volume-events.ts";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import { type ContainerEntry, exitEvent } from "./container-index.ts";
import { isAlive, next } from "./container-life.ts";
import { readRestartPolicy, restartDelay, restartsAfter } from "./restart-policy.ts";

/**
 * Undoes a start: what runtime and supervisor keep, network, mount, bundle. Again does nothing. It never fails: what is
 * left over is found and undone by the engine's next start.
 */
export async function tearDown(context: ContainerContext, entry: ContainerEntry): Promise<void> {
  const attempt = async (what: string, work: () => unknown): Promise<void> => {
    try {
      await work();
    } catch (error) {
      context.log.warn(`${what} of a container failed`, { container: shortId(entry.id), error: errorMessage(error) });
    }
  };
  await Promise.all([
    attempt("releasing the network", () => context.networks.release(entry.id)),
    attempt("deleting the runtime state", () => context.supervisor.delete(entry.id)),
  ]);
  announceNetworks(context, entry, "disconnect");
  announceUnmounts(context, entry);
  entry.endpoints = [];
  entry.namespacePath = undefined;
  await attempt("releasing the mounts", () => releaseMounts(context, entry));
  await attempt("unmounting the root", () => unmountRoot(context, entry));
  await attempt("removing the bundle", () => rm(context.paths.bundle(entry.id), { recursive: true, force: true }));
}

/** Lazily: a process that looks into the directory from outside must not keep the container from ending. */
async function unmountRoot(context: ContainerContext, entry: ContainerEntry): Promise<void> {
  const writable = entry.writable ?? context.store.layers.writable(entry.definition.writableId);
  if (writable === undefined) return;
  if (isVolatile(entry)) return unmountQuietly(writable.merged);
  // The last unmount of an overlay waits until all that was written to the upper file system, by whomever, is on the
  // disk. That can take seconds, so it is another process that waits.
  const child = Bun.spawn(["umount", "--lazy", writable.merged], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [exitCode, complaint] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (exitCode !== 0 && !/not mounted|no mount point/.test(complaint)) throw new Error(complaint.trim());
}

function unmountQuietly(path: string): void {
  try {
    unmount(path, { lazy: true });
  } catch (error) {
    if (errnoOf(error) !== "EINVAL" && errnoOf(error) !== "ENOENT") throw error;
  }
}

/** The upper directory of a container that removes itself needs no sync: after a crash it is thrown away. */
export function isVolatile(entry: ContainerEntry): boolean {
  return entry.definition.hostConfig.AutoRemove === true;
}

export function announceNetworks(
  context: ContainerContext,
  entry: ContainerEntry,
  action: "connect" | "disconnect",
): void {
  const connects = action === "connect";
  if (entry.networksAnnounced === connects) return;
  entry.networksAnnounced = connects;
  for (const { networkId: id, networkName: name } of entry.endpoints) {
    publishNetworkEvent(context, { id, name, driver: "bridge" }, action, { container: entry.id });
  }
  const { kind } = parseNetworkMode(entry.definition.hostConfig.NetworkMode ?? "");
  const bare = kind === "host" || kind === "none" ? context.networks.find(kind) : undefined;
  if (bare !== undefined) publishNetworkEvent(context, bare, action, { container: entry.id });
}

/**
 * A container's process has ended: the new state is committed, then announced, then everybody who waits is told, and only
 * then is the rest cleaned up, while nobody waits. `restart` starts it again after the policy's delay.
 */
export function endRun(
  context: ContainerContext,
  entry: ContainerEntry,
  exit: ExitRecord,
  restart: (entry: ContainerEntry, delay: number) => void,
): void {
  if (!isAlive(entry.state.status)) return;
  const { hostConfig } = entry.definition;
  const { state, manuallyStopped } = entry;
  const { unhealthy } = entry;
  const run = { exitCode: exit.exitCode, manuallyStopped, restartCount: state.restartCount, unhealthy };
  entry.unhealthy = false;
  const again = restartsAfter(readRestartPolicy(hostConfig.RestartPolicy), run);
  const duration = exit.finishedAt - (state.startedAt ?? exit.finishedAt);
  const event = exitEvent(exit, again);
  const removes = hostConfig.AutoRemove === true && !again && !entry.stays;
  // One that removes itself has no state to keep: its row goes in the same step.
  const last = next(state, event);
  if (!removes) context.index.apply(entry, event);
  publishDeath(context, entry, exit, duration);
  entry.execIds.clear();
  if (removes) {
    removeEntry(context, entry, { volumes: true, last });
    return;
  }
  cleanUp(context, entry, () => tearDown(context, entry));
  if (again) restart(entry, restartDelay(entry.restart?.delay, duration));
}

/** `duration` of the run in milliseconds. */
export function publishDeath(
  context: Pick<ContainerContext, "events">,
  entry: ContainerEntry,
  exit: ExitRecord,
  duration: number,
): void {
  if (exit.oomKilled) publishContainerEvent(context, entry, "oom");
  const execDuration = String(Math.max(0, Math.floor(duration / 1000)));
  publishContainerEvent(context, entry, "die", { exitCode: String(exit.exitCode), execDuration });
}

/**
 * Takes a container out of the database; its files follow while nobody waits. A crash in between leaves a writable layer,
 * directories and mounts without a container, which the engine's next start removes.
 */
export function removeEntry(
  context: ContainerContext,
  entry: ContainerEntry,
  options: { readonly volumes: boolean; readonly last?: ContainerEntry["state"] },
): void {
  const { definition } = entry;
  const anonymous = definition.mounts.flatMap(({ anonymous, name }) => (anonymous && name !== undefined ? [name] : []));
  context.index.remove(entry, options.last);
  if (options.volumes) context.volumes.removeAnonymous(anonymous);
  cleanUp(context, entry, async () => {
    await tearDown(context, entry);
    publishContainerEvent(context, entry, "destroy");
    const writable = entry.writable ?? context.store.layers.writable(definition.writableId);
    if (writable !== undefined) await context.store.layers.discard(writable);
    await rm(context.paths.home(entry.id), { recursive: true, force: true });
  });
}

/** Runs a clean-up after all earlier ones of the container; a start waits for it, and so does the engine's end. */
export function cleanUp(context: ContainerContext, entry: ContainerEntry, work: () => Promise<void>): void {
  const run = async (): Promise<void> => {
    try {
      await work();
    } catch (error) {
      context.log.warn("cleaning up after a container failed", {
        container: shortId(entry.id),
        error: errorMessage(error),
      });
    }
  };
  entry.teardown = context.cleanups.add(entry.teardown.then(run));
}
