import { existsSync } from "node:fs";
import { randomId, type Scope, SlipwayError } from "@slipway/base";
import type { ChainId } from "@slipway/oci";
import type { ContainerContext } from "../containers/container-context.ts";
import type { DecidedMount } from "../containers/container-table.ts";
import type { ContainerConfig, HostConfig, Volume } from "../faces.ts";
import { type MountRequest, requestedMounts } from "../settings/mount-spec.ts";
import { copyUp } from "./copy-up.ts";
import { missingSource } from "./runtime-mounts.ts";

type Context = Pick<ContainerContext, "volumes" | "store" | "index">;

/**
 * Decides every mount of a new container: its own, those of `VolumesFrom`, and anonymous volumes for what the image
 * declares. Volumes are made, and filled from the image, here. Throws `invalid` for a source that is missing.
 */
export async function decideMounts(context: Context, wanted: WantedMounts): Promise<DecidedMount[]> {
  const inherited = inheritedMounts(context, wanted.hostConfig.VolumesFrom ?? []);
  const own = requestedMounts(wanted.hostConfig);
  // Everything that can be wrong is found out before anything is made.
  for (const request of own) {
    if (request.kind === "bind") checkSource(request);
    if (request.kind === "image") context.store.images.resolve(request.image);
  }
  const decided = new Map(inherited.map((mount) => [mount.destination, mount]));
  for (const request of own) decided.set(request.destination, await decide(context, request, wanted));
  for (const path of Object.keys(wanted.config.Volumes ?? {})) {
    const request = anonymous(path);
    if (!decided.has(request.destination)) decided.set(request.destination, await decide(context, request, wanted));
  }
  return [...decided.values()];
}

export interface WantedMounts {
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** The image's topmost layer. */
  readonly top: ChainId | undefined;
  /** Undoes what is made when the container is not, and ends what is held for the time of its making. */
  readonly undo: Scope;
  readonly isMade: () => boolean;
}

function anonymous(path: string): MountRequest {
  const [request] = requestedMounts({ Binds: [path] });
  if (request === undefined) throw new SlipwayError("invalid", `invalid volume specification: '${path}'`);
  return request;
}

/** `container[:ro|rw]`: what it mounts from volumes and the host is mounted here too. */
function inheritedMounts(context: Context, sources: readonly string[]): DecidedMount[] {
  return sources.flatMap((source) => {
    const [name = "", mode = "rw"] = source.split(":");
    if (!["ro", "rw", "z", "Z"].includes(mode)) throw new SlipwayError("invalid", `invalid mode: ${mode}`);
    const { mounts } = context.index.resolve(name).definition;
    return mounts
      .filter((mount) => mount.type === "bind" || mount.type === "volume")
      .map(({ anonymous: _, ...mount }) => ({ ...mount, readWrite: mount.readWrite && mode !== "ro" }));
  });
}

async function decide(context: Context, request: MountRequest, wanted: WantedMounts): Promise<DecidedMount> {
  switch (request.kind) {
    case "bind":
      return decideBind(request);
    case "tmpfs":
      return {
        type: "tmpfs",
        source: "",
        destination: request.destination,
        mode: "",
        readWrite: !request.readOnly,
        propagation: "",
        options: request.options,
        ...(request.fromMap ? { hidden: true } : {}),
      };
    case "volume":
      return decideVolume(context, request, wanted);
    case "image":
      return decideImage(context, request);
  }
}

/** The image stays as long as the container does. Throws `not-found`. */
function decideImage(context: Context, request: MountRequest & { kind: "image" }): DecidedMount {
  const image = context.store.images.resolve(request.image);
  return {
    type: "image",
    source: request.image,
    destination: request.destination,
    mode: "",
    readWrite: false,
    propagation: "rprivate",
    options: ["rbind"],
    imageId: image.id,
    ...(request.subpath === undefined ? {} : { subpath: request.subpath }),
  };
}

function checkSource(request: MountRequest & { kind: "bind" }): void {
  if (!request.createSource && !existsSync(request.source)) throw missingSource(request.source);
}

function decideBind(request: MountRequest & { kind: "bind" }): DecidedMount {
  return {
    type: "bind",
    source: request.source,
    destination: request.destination,
    mode: request.mode,
    readWrite: !request.readOnly,
    propagation: request.propagation,
    options: [request.recursive ? "rbind" : "bind"],
    createSource: request.createSource,
    ...(request.recursiveReadOnly === undefined ? {} : { recursiveReadOnly: request.recursiveReadOnly }),
  };
}

async function decideVolume(
  context: Context,
  request: MountRequest & { kind: "volume" },
  { top, undo, isMade }: WantedMounts,
): Promise<DecidedMount> {
  const { volumes, store } = context;
  const { labels, options, driver } = request;
  const name = request.name ?? randomId();
  // Until the container is in the table nothing else says that the volume is needed.
  undo.defer(volumes.reserve(name));
  if (request.name === undefined) {
    undo.defer(() => {
      if (!isMade()) volumes.removeAnonymous([name]);
    });
  }
  const volume: Volume =
    request.name === undefined
      ? await volumes.createAnonymous(name, { labels, options, driver })
      : await volumes.create({ name, labels, options, driver });
  if (request.copyUp && top !== undefined) {
    const holder = `copy-up ${randomId()}`;
    await volumes.acquire(volume.name, holder);
    try {
      await volumes.whileLocked(volume.name, async () => {
        await copyUp(await store.layers.view(top), request.destination, volume.mountpoint);
      });
    } finally {
      await volumes.release(volume.name, holder);
    }
  }
  return {
    type: "volume",
    name: volume.name,
    source: volume.mountpoint,
    destination: request.destination,
    driver: volume.driver,
    mode: request.mode === "" && request.name !== undefined ? "z" : request.mode,
    readWrite: !request.readOnly,
    propagation: "",
    options: ["rbind"],
    ...(request.subpath === undefined ? {} : { subpath: request.subpath }),
    ...(request.name === undefined ? { anonymous: true } : {}),
  };
}
