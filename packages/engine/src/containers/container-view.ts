import type { Networks } from "@slipway/network";
import type { Image, Store } from "@slipway/store";
import type { Container, ContainerMount, HostConfig } from "../faces.ts";
import { directorySize } from "../files/directory-size.ts";
import { endpointsOf } from "../networks/endpoint-view.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { exposedPorts, portTable } from "../settings/port-spec.ts";
import type { ContainerEntry, ContainerIndex } from "./container-index.ts";
import { isAlive } from "./container-life.ts";
import type { ContainerPaths } from "./container-paths.ts";
import type { DecidedMount } from "./container-table.ts";
import { statusText } from "./status-text.ts";

export interface ContainerListItem {
  readonly container: Container;
  /** `Up 3 minutes`, `Exited (0) 2 hours ago`. */
  readonly status: string;
  /** The name the image has now, or its ID. */
  readonly imageName: string;
  /** Bytes, when asked for. */
  readonly sizes?: { readonly rw: number; readonly rootFs: number };
}

export interface ViewContext {
  readonly store: Store;
  readonly paths: ContainerPaths;
  readonly index: ContainerIndex;
  readonly networks: Pick<Networks, "find">;
  readonly now: () => number;
}

/** Everything that is known of one container, as the face has it. */
export function viewOf(context: ViewContext, entry: ContainerEntry): Container {
  const { definition, id } = entry;
  const { config, hostConfig } = definition;
  const writable = (entry.writable ??= context.store.layers.writable(definition.writableId));
  const { paths } = context;
  const files = isAlive(entry.state.status);
  const publishes = files && parseNetworkMode(hostConfig.NetworkMode ?? "").kind === "network";
  return {
    id,
    name: entry.name,
    created: definition.created,
    imageId: definition.imageId,
    config,
    hostConfig: withLinks(context, entry),
    state: entry.state,
    path: definition.path,
    args: definition.args,
    mounts: definition.mounts.filter((mount) => mount.hidden !== true).map(publicMount),
    endpoints: endpointsOf(context, entry),
    namespacePath: files ? (entry.namespacePath ?? "") : "",
    linkNames: context.index.linkNames(id),
    ports: publishes
      ? portTable(
          exposedPorts(config, hostConfig),
          entry.endpoints.flatMap(({ ports }) => ports),
        )
      : {},
    logPath: paths.log(id, hostConfig.LogConfig?.Type ?? "json-file"),
    hostnamePath: files ? paths.hostname(id) : "",
    hostsPath: files ? paths.hosts(id) : "",
    resolvConfPath: files ? paths.resolvConf(id) : "",
    execIds: [...entry.execIds],
    layers: {
      lower: writable?.lowers.join(":") ?? "",
      upper: writable?.upper ?? "",
      work: writable?.work ?? "",
      merged: writable?.merged ?? "",
    },
  };
}

/** Links as inspect shows them, with the names that the containers have now. */
function withLinks({ index }: Pick<ViewContext, "index">, { name, definition }: ContainerEntry): HostConfig {
  if (definition.links === undefined) return definition.hostConfig;
  const links = Object.entries(definition.links).flatMap(([alias, id]) => {
    const other = index.get(id);
    return other === undefined ? [] : [`/${other.name}:/${name}/${alias}`];
  });
  return { ...definition.hostConfig, Links: links };
}

/** A mount without what only its start needs to know. */
function publicMount(mount: DecidedMount): ContainerMount {
  const { type, name, source, destination, driver, mode, readWrite, propagation } = mount;
  return {
    ...{ type, source, destination, mode, readWrite, propagation },
    ...(name === undefined ? {} : { name }),
    ...(driver === undefined ? {} : { driver }),
  };
}

/** An item of a list. `names` keeps what image names mean, for lists of many containers of few images. */
export async function listItemOf(
  context: ViewContext,
  entry: ContainerEntry,
  options: { readonly size: boolean; readonly names: Map<string, Image | undefined> },
): Promise<ContainerListItem> {
  const container = viewOf(context, entry);
  const sizes = options.size ? await sizesOf(context, entry) : undefined;
  return {
    container,
    status: statusText(entry.state, context.now()),
    imageName: imageNameOf(context, entry, options.names),
    ...(sizes === undefined ? {} : { sizes }),
  };
}

/** The name that the user gave, unless it has come to mean another image since. */
function imageNameOf(context: ViewContext, entry: ContainerEntry, names: Map<string, Image | undefined>): string {
  const { config, imageId } = entry.definition;
  const given = config.Image;
  if (!names.has(given)) names.set(given, findQuietly(context, given));
  const meant = names.get(given);
  return meant === undefined || meant.id === imageId ? given : imageId;
}

function findQuietly(context: ViewContext, name: string): Image | undefined {
  try {
    return context.store.images.find(name);
  } catch {
    // Ambiguous by now: it no longer names this container's image for sure.
    return undefined;
  }
}

async function sizesOf(context: ViewContext, entry: ContainerEntry): Promise<{ rw: number; rootFs: number }> {
  const writable = (entry.writable ??= context.store.layers.writable(entry.definition.writableId));
  const rw = writable === undefined ? 0 : await directorySize(writable.upper);
  return { rw, rootFs: rw + (context.store.images.get(entry.definition.imageId)?.size ?? 0) };
}
