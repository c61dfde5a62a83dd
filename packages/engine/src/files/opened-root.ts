import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { errnoOf, randomId, SlipwayError } from "@slipway/base";
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
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import { isAlive } from "../containers/container-life.ts";
import { reasonOf } from "../containers/ended-meanwhile.ts";
import { type FileMount, fileMounts } from "../mounts/runtime-mounts.ts";
import { openPart, partPath } from "../mounts/subpath-mounts.ts";

/** A container's files, held open. While one that writes is open a stopped container does not start. */
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
    if (options.write) return await writableRoot(context, entry, options.volumes, unlock);
    const root = await readableRoot(context, entry, options.volumes);
    if (root === undefined) return await writableRoot(context, entry, options.volumes, unlock);
    unlock();
    return root;
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
  const fd = openLive(entry, volumes ? `/proc/${entry.state.pid}/root` : merged);
  const [ours, theirs] = [statNs(merged), fstatNs(fd)];
  // The process may have ended and its number may be another's, or it has changed its root: neither is the container.
  if (ours?.dev !== theirs.dev || ours.ino !== theirs.ino) {
    closeFd(fd);
    throw new SlipwayError("conflict", `the root of container ${entry.id} cannot be reached: it is about to end`);
  }
  return { fd, live: true, [Symbol.asyncDispose]: async () => closeFd(fd) };
}

function openLive(entry: ContainerEntry, path: string): number {
  try {
    return openPath(path, O.DIRECTORY);
  } catch (error) {
    throw reasonOf(entry, error);
  }
}

/**
 * A view of its own that nobody can write to, without the container's lock: a start need not wait until the last byte has
 * reached a slow client. Undefined when the root lacks a mount point that cannot be supplied from outside: below a link.
 */
async function readableRoot(
  context: ContainerContext,
  entry: ContainerEntry,
  volumes: boolean,
): Promise<OpenedRoot | undefined> {
  const { lowers, upper } = writableOf(context, entry);
  const place = join(context.paths.views, randomId().slice(0, 16));
  const { target, points } = partsOf(place);
  const binds = volumes ? fileMounts(entry.definition.mounts) : [];
  mkdirSync(target, { recursive: true, mode: 0o700 });
  const mountRoot = () => {
    makePoints(points, binds);
    mountOverlay({ lowers: [upper, ...lowers, points], target, userxattr: context.store.userxattr });
  };
  const view = { entry, target, volumes, binds, mountRoot, done: () => removeView(place) };
  try {
    return await mountedRoot(context, view);
  } catch (error) {
    if (errnoOf(error) === "EROFS") return undefined;
    throw error;
  }
}

function partsOf(place: string): { readonly target: string; readonly points: string } {
  return { target: join(place, "root"), points: join(place, "points") };
}

/** Never recursively where something of the host may be mounted: what is still mounted there makes rmdir(2) fail. */
export async function removeView(place: string): Promise<void> {
  const { target, points } = partsOf(place);
  await rmdir(target);
  await rm(points, { recursive: true, force: true });
  await rmdir(place);
}

/** Directories and files to mount on, as the lowest layer: those that the container has hide them. */
function makePoints(points: string, binds: readonly FileMount[]): void {
  mkdirSync(points, { recursive: true, mode: 0o755 });
  for (const bind of binds) {
    const point = join(points, bind.target);
    if (isDirectory(bind)) mkdirSync(point, { recursive: true, mode: 0o755 });
    else {
      mkdirSync(posix.dirname(point), { recursive: true, mode: 0o755 });
      if (!existsSync(point)) writeFileSync(point, "");
    }
  }
}

function isDirectory({ source, subpath }: FileMount): boolean {
  const fd = openPart({ root: source, subpath, what: "volume" });
  try {
    return fstatNs(fd).kind === "dir";
  } finally {
    closeFd(fd);
  }
}

/** Its layers as a start mounts them, under the container's lock: missing mount points are made as a start makes them. */
async function writableRoot(
  context: ContainerContext,
  entry: ContainerEntry,
  volumes: boolean,
  unlock: () => void,
): Promise<OpenedRoot> {
  const { lowers, upper, work, merged } = writableOf(context, entry);
  const binds = volumes ? fileMounts(entry.definition.mounts) : [];
  const mountRoot = () => mountOverlay({ lowers, upper, work, target: merged, userxattr: context.store.userxattr });
  return mountedRoot(context, { entry, target: merged, volumes, binds, mountRoot, done: async () => unlock() });
}

interface View {
  readonly entry: ContainerEntry;
  /** Where `mountRoot` mounts the layers. */
  readonly target: string;
  readonly volumes: boolean;
  readonly binds: readonly FileMount[];
  readonly mountRoot: () => void;
  /** After all is unmounted again; also when mounting failed. */
  readonly done: () => Promise<void>;
}

async function mountedRoot(context: ContainerContext, view: View): Promise<OpenedRoot> {
  const holder = `files ${randomId()}`;
  const held: string[] = [];
  let fd: number | undefined;
  const close = async (): Promise<void> => {
    if (fd !== undefined) closeFd(fd);
    await unmountAll(view.target);
    for (const name of held) await context.volumes.release(name, holder);
  };
  try {
    if (view.volumes) await acquireVolumes(context, view.entry, { holder, held });
    view.mountRoot();
    fd = openPath(view.target, O.DIRECTORY);
    for (const bind of [...view.binds].sort((a, b) => a.target.length - b.target.length)) {
      bindInside(fd, bind);
    }
  } catch (error) {
    await close();
    // The caller of the writable view gives the lock back itself.
    if (view.target !== writableOf(context, view.entry).merged) await view.done();
    throw error;
  }
  return {
    fd,
    live: false,
    [Symbol.asyncDispose]: async () => {
      await close();
      await view.done();
    },
  };
}

async function acquireVolumes(
  context: ContainerContext,
  entry: ContainerEntry,
  { holder, held }: { readonly holder: string; readonly held: string[] },
): Promise<void> {
  for (const { type, name } of entry.definition.mounts) {
    if (type !== "volume" || name === undefined) continue;
    await context.volumes.acquire(name, holder);
    held.push(name);
  }
}

/** The target is resolved inside the root: an image may have a link there that leads out. */
function bindInside(root: number, { source, subpath, target, readonly }: FileMount): void {
  const options = { recursive: true, readonly, propagation: "private" } as const;
  const part = openPart({ root: source, subpath, what: "volume" });
  try {
    if (fstatNs(part).kind === "dir") {
      const place = mkdirInRoot(root, target);
      try {
        // The dot makes the kernel enter the descriptor: it attaches to no link, not even to that one.
        bindMount(partPath(part), fdPath(place, "."), options);
      } finally {
        closeFd(place);
      }
      return;
    }
    bindFile(root, partPath(part), target, options);
  } finally {
    closeFd(part);
  }
}

function bindFile(root: number, source: string, target: string, options: Parameters<typeof bindMount>[2]): void {
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
