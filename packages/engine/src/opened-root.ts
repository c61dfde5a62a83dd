import { posix } from "node:path";
import { randomId, SlipwayError } from "@slipway/base";
import type { WritableLayer } from "@slipway/store";
import {
  bindMount,
  closeFd,
  fdPath,
  fstatNs,
  lstatAt,
  mkdirInRoot,
  mountOverlay,
  mounts,
  O,
  openAt,
  openPath,
  statNs,
  unmount,
} from "@slipway/sys";
import type { ContainerContext } from "./container-context.ts";
import type { ContainerEntry } from "./container-index.ts";
import { isAlive } from "./container-life.ts";
import { fileMounts } from "./runtime-mounts.ts";

/** A container's files, held open. While it is open a stopped container does not start. */
export interface OpenedRoot extends AsyncDisposable {
  /** The root directory (O_PATH): everything goes through `openInRoot`, for the container owns what lies below. */
  readonly fd: number;
  /** The container's processes see the same files now. */
  readonly live: boolean;
}

/**
 * Opens a container's root: of a running one as its process sees it, of another one its layers mounted for the time.
 * `volumes` shows what is mounted into it; without, only its own files. `write` is for those who change something.
 */
export async function openRoot(
  context: ContainerContext,
  entry: ContainerEntry,
  options: { readonly volumes: boolean; readonly write: boolean },
): Promise<OpenedRoot> {
  if (isAlive(entry.state.status)) return liveRoot(context, entry, options.volumes);
  const unlock = await context.lock.acquire(entry.id);
  try {
    if (context.index.get(entry.id) === undefined) {
      throw new SlipwayError("not-found", `No such container: ${entry.id}`);
    }
    if (isAlive(entry.state.status)) {
      unlock();
      return liveRoot(context, entry, options.volumes);
    }
    // The last run's mount must have gone: two overlays must not share an upper directory.
    await entry.teardown;
    return await mountedRoot(context, entry, options, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

function writableOf(context: ContainerContext, entry: ContainerEntry): WritableLayer {
  const writable = entry.writable ?? context.store.layers.writable(entry.definition.writableId);
  if (writable === undefined) {
    throw new SlipwayError("corrupt", `the writable layer of container ${entry.id} is missing`);
  }
  return writable;
}

function liveRoot(context: ContainerContext, entry: ContainerEntry, volumes: boolean): OpenedRoot {
  const { merged } = writableOf(context, entry);
  const fd = openPath(volumes ? `/proc/${entry.state.pid}/root` : merged, O.DIRECTORY);
  const [ours, theirs] = [statNs(merged), fstatNs(fd)];
  // The process may have ended and its number may be another's, or it has changed its root: neither is the container.
  if (ours?.dev !== theirs.dev || ours.ino !== theirs.ino) {
    closeFd(fd);
    throw new SlipwayError("conflict", `the root of container ${entry.id} cannot be reached: it is about to end`);
  }
  return { fd, live: true, [Symbol.asyncDispose]: async () => closeFd(fd) };
}

async function mountedRoot(
  context: ContainerContext,
  entry: ContainerEntry,
  { volumes, write }: { readonly volumes: boolean; readonly write: boolean },
  unlock: () => void,
): Promise<OpenedRoot> {
  const writable = writableOf(context, entry);
  const { lowers, upper, work, merged } = writable;
  const { userxattr } = context.store;
  const holder = `files ${randomId()}`;
  const held = volumes ? await acquireVolumes(context, entry, holder) : [];
  const binds = volumes ? fileMounts(entry.definition.mounts) : [];
  // Missing mount points are made as a start makes them. Otherwise readers need no upper directory, and then the end of
  // the mount need not wait for the disk.
  if (write || binds.length > 0) mountOverlay({ lowers, upper, work, target: merged, userxattr });
  else mountOverlay({ lowers: [upper, ...lowers], target: merged, userxattr });
  let fd: number | undefined;
  const close = async (): Promise<void> => {
    if (fd !== undefined) closeFd(fd);
    await unmountAll(merged);
    for (const name of held) await context.volumes.release(name, holder);
    unlock();
  };
  try {
    fd = openPath(merged, O.DIRECTORY);
    for (const bind of binds.sort((a, b) => a.target.length - b.target.length)) {
      bindInside(fd, bind.source, {
        target: bind.target,
        readonly: bind.options.some((option) => option === "ro" || option === "rro"),
      });
    }
    return { fd, live: false, [Symbol.asyncDispose]: close };
  } catch (error) {
    if (fd !== undefined) closeFd(fd);
    await unmountAll(merged);
    for (const name of held) await context.volumes.release(name, holder);
    throw error;
  }
}

async function acquireVolumes(context: ContainerContext, entry: ContainerEntry, holder: string): Promise<string[]> {
  const held: string[] = [];
  for (const { type, name } of entry.definition.mounts) {
    if (type !== "volume" || name === undefined) continue;
    await context.volumes.acquire(name, holder);
    held.push(name);
  }
  return held;
}

/** The target is resolved inside the root: an image may have a link there that leads out. */
function bindInside(
  root: number,
  source: string,
  { target, readonly }: { readonly target: string; readonly readonly: boolean },
): void {
  const options = { recursive: true, readonly, propagation: "private" } as const;
  if (statNs(source)?.kind === "dir") {
    const place = mkdirInRoot(root, target);
    try {
      // The dot makes the kernel enter the descriptor: it attaches to no link, not even to that one.
      bindMount(source, fdPath(place, "."), options);
    } finally {
      closeFd(place);
    }
    return;
  }
  const parent = mkdirInRoot(root, posix.dirname(target));
  try {
    const name = posix.basename(target);
    if (lstatAt(parent, name) === undefined) closeFd(openAt(parent, name, O.WRONLY | O.CREAT | O.EXCL, 0o644));
    if (lstatAt(parent, name)?.kind === "file") bindMount(source, fdPath(parent, name), options);
  } finally {
    closeFd(parent);
  }
}

/** Volumes first; the overlay by another process, because its last unmount can wait for the disk. */
async function unmountAll(merged: string): Promise<void> {
  const inside = mounts().filter(({ target }) => target.startsWith(`${merged}/`));
  for (const { target } of inside.reverse()) unmount(target, { lazy: true });
  const child = Bun.spawn(["umount", "--lazy", merged], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  await child.exited;
}
