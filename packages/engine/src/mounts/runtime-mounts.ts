import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { release } from "node:os";
import { basename, dirname, join } from "node:path";
import { errnoOf, nearest, SlipwayError } from "@slipway/base";
import type { Mount } from "@slipway/runtime";
import { mountOverlay, mounts, unmountBelow } from "@slipway/sys";
import type { ContainerContext } from "../containers/container-context.ts";
import type { ContainerEntry } from "../containers/container-index.ts";
import type { DecidedMount } from "../containers/container-table.ts";
import { holdSubpath, releaseSubpaths } from "./subpath-mounts.ts";

type Context = Pick<ContainerContext, "store" | "volumes" | "paths">;

/**
 * Makes what a container's mounts need for its run: volumes with options are mounted, images too. `releaseMounts` undoes
 * it. Returns the mounts for the runtime. Throws `invalid` for a source that has gone since the container was created.
 */
export async function prepareMounts(context: Context, entry: ContainerEntry): Promise<Mount[]> {
  const { mounts: decided } = entry.definition;
  for (const { type, name } of decided) {
    if (type === "volume" && name !== undefined) await context.volumes.acquire(name, entry.id);
  }
  const images = decided.filter(({ type }) => type === "image");
  const places = new Map<DecidedMount, string>();
  for (const [at, mount] of images.entries()) places.set(mount, await mountImage(context, entry, mount, at));
  for (const [at, mount] of decided.entries()) {
    if (mount.subpath === undefined) continue;
    const place = { root: places.get(mount) ?? mount.source, subpath: mount.subpath, what: mount.type };
    places.set(mount, holdSubpath(context.paths, entry.id, at, place));
  }
  return decided.map((mount) => runtimeMount(mount, places.get(mount)));
}

/** Undoes `prepareMounts`. Again does nothing. */
export async function releaseMounts(context: Context, entry: ContainerEntry): Promise<void> {
  const { mounts: decided, hostConfig } = entry.definition;
  if (decided.some(({ subpath }) => subpath !== undefined)) releaseSubpaths(context.paths, entry.id);
  const inBundle = decided.some(({ type }) => type === "image") || hostConfig.IpcMode === "shareable";
  if (inBundle) unmountBelow(context.paths.bundle(entry.id));
  for (const { type, name } of decided) {
    if (type === "volume" && name !== undefined) await context.volumes.release(name, entry.id);
  }
}

/** A mount of a volume or of the host, for who looks into a container that does not run. */
export interface FileMount {
  readonly source: string;
  /** Below the source, to be resolved inside it. */
  readonly subpath: string | undefined;
  /** In the container. */
  readonly target: string;
  readonly readonly: boolean;
}

export function fileMounts(decided: readonly DecidedMount[]): FileMount[] {
  return decided
    .filter(({ type }) => type === "bind" || type === "volume")
    .map((mount) => ({
      source: sourceOf(mount),
      subpath: mount.subpath,
      target: mount.destination,
      readonly: !mount.readWrite,
    }));
}

/** An image's layers as one tree that nobody can write to. */
async function mountImage(context: Context, entry: ContainerEntry, mount: DecidedMount, at: number): Promise<string> {
  const { store, paths } = context;
  const image = mount.imageId === undefined ? undefined : store.images.get(mount.imageId);
  if (image === undefined) throw new SlipwayError("not-found", `No such image: ${mount.source}`);
  const top = image.layers.at(-1);
  const lowers = top === undefined ? [] : await store.layers.lowers(top);
  const place = join(paths.bundle(entry.id), "images", String(at));
  // Without an upper directory overlayfs wants two lowers: the second is empty.
  const bottom = join(paths.bundle(entry.id), "images", "empty");
  for (const directory of [place, bottom]) mkdirSync(directory, { recursive: true, mode: 0o755 });
  mountOverlay({ lowers: [...lowers, bottom], target: place, userxattr: store.userxattr });
  return place;
}

/** `place` is where an image or a part of a volume has been mounted for it. */
function runtimeMount(mount: DecidedMount, place: string | undefined): Mount {
  if (mount.type === "tmpfs") {
    const access = mount.readWrite ? "rw" : "ro";
    return { type: "tmpfs", source: "tmpfs", target: mount.destination, options: [...mount.options, access] };
  }
  const propagation = mount.propagation === "" ? "rprivate" : mount.propagation;
  const source = place ?? sourceOf(mount);
  checkPropagation(source, propagation);
  return {
    type: "bind",
    source,
    target: mount.destination,
    options: [...mount.options, accessOf(mount), propagation],
  };
}

/** Read-only counts for the mounts below the source too where the kernel can do that: since Linux 5.12. */
function accessOf(mount: DecidedMount): "rw" | "ro" | "rro" {
  if (mount.readWrite) return "rw";
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const able = major > 5 || (major === 5 && minor >= 12);
  if (mount.recursiveReadOnly === "forced" && !able) {
    throw new SlipwayError("invalid", "recursive read-only mounts are not supported by this kernel", {
      hint: "Linux 5.12 is the first that can; leave out ReadOnlyForceRecursive.",
    });
  }
  return able && mount.recursiveReadOnly !== "never" && mount.options.includes("rbind") ? "rro" : "ro";
}

/** What is mounted later shows up on the other side only where the source lies on a mount that passes it on. */
function checkPropagation(source: string, propagation: string): void {
  const kind = propagation.replace(/^r/, "");
  if (kind === "private") return;
  const [mount] = mounts()
    .filter(({ target }) => source === target || target === "/" || source.startsWith(`${target}/`))
    .sort((a, b) => b.target.length - a.target.length || b.id - a.id);
  const tags = mount?.propagation ?? [];
  const isShared = tags.some((tag) => tag.startsWith("shared:"));
  const isSlave = tags.some((tag) => tag.startsWith("master:"));
  if (isShared || (kind === "slave" && isSlave)) return;
  throw new SlipwayError(
    "invalid",
    `path ${source} is mounted on ${mount?.target ?? "/"} but it is not a shared${kind === "slave" ? " or slave" : ""} mount`,
    { hint: `Share it on the host: mount --make-rshared ${mount?.target ?? "/"}` },
  );
}

function sourceOf(mount: DecidedMount): string {
  if (mount.type !== "bind" || existsSync(mount.source)) return mount.source;
  if (mount.createSource !== true) throw missingSource(mount.source);
  try {
    mkdirSync(mount.source, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw new SlipwayError("invalid", `error while creating mount source path '${mount.source}': ${errnoOf(error)}`, {
      cause: error,
    });
  }
  return mount.source;
}

/** Names what is there and sounds alike: in a long path the eye misses a letter. */
export function missingSource(source: string): SlipwayError {
  const near = nearestPath(source);
  return new SlipwayError(
    "invalid",
    `invalid mount config for type "bind": bind source path does not exist: ${source}`,
    {
      hint:
        near === undefined
          ? "Create it first; only -v makes a missing directory."
          : `Did you mean '${near}'? Only -v makes a missing directory.`,
      ...(near === undefined ? {} : { details: { nearest: near } }),
    },
  );
}

function nearestPath(path: string): string | undefined {
  const parent = dirname(path);
  if (parent === path) return undefined;
  try {
    const near = nearest(basename(path), readdirSync(parent));
    return near === undefined ? undefined : join(parent, near);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "ENOTDIR") return undefined;
    // The wrong letter may be further up.
    const better = nearestPath(parent);
    const found = better === undefined ? undefined : join(better, basename(path));
    return found !== undefined && existsSync(found) ? found : better;
  }
}
