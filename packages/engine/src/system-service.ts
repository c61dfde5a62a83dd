import { readFileSync } from "node:fs";
import { availableParallelism, hostname, release, totalmem } from "node:os";
import type { CgroupAbilities } from "@slipway/runtime";
import type { Image, Store } from "@slipway/store";
import type { ContainerService } from "./container-service.ts";
import type { ContainerListItem } from "./container-view.ts";
import type { EventLog } from "./event-log.ts";
import type { EngineEvent, Volume } from "./faces.ts";
import { checkFilters, type Filters } from "./filters.ts";
import type { ImageService } from "./image-service.ts";
import type { VolumeService } from "./volume-service.ts";

export interface SystemInfo {
  readonly id: string;
  readonly name: string;
  readonly dataRoot: string;
  readonly containers: Readonly<Record<"running" | "paused" | "stopped", number>>;
  readonly images: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly cgroupVersion: 1 | 2;
  readonly cgroupDriver: string;
  readonly abilities: CgroupAbilities;
  readonly runtime: { readonly name: string; readonly path: string; readonly version: string };
  readonly securityOptions: readonly string[];
  readonly warnings: readonly string[];
  readonly debug: boolean;
}

export interface SystemDependencies<CacheEntry> {
  readonly store: Store;
  readonly events: EventLog;
  readonly containers: ContainerService;
  readonly images: ImageService;
  readonly volumes: VolumeService;
  readonly cacheUsage: () => Promise<readonly CacheEntry[]>;
  readonly id: string;
  readonly cgroupVersion: 1 | 2;
  readonly abilities: CgroupAbilities;
  readonly version: { readonly version: string; readonly gitCommit: string; readonly buildTime: string };
  readonly runtime: SystemInfo["runtime"];
  readonly debug: boolean;
}

const EVENT_FILTERS = [
  "builder",
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "label!",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
];

/** What is known of the engine as a whole. */
export class SystemService<CacheEntry> {
  readonly #deps: SystemDependencies<CacheEntry>;

  constructor(deps: SystemDependencies<CacheEntry>) {
    this.#deps = deps;
  }

  async info(): Promise<SystemInfo> {
    const { store, containers, cgroupVersion, abilities, runtime, debug, id } = this.#deps;
    const counts = containers.counts();
    return {
      id,
      name: hostname(),
      dataRoot: store.root,
      containers: counts,
      images: store.images.list().length,
      cpus: availableParallelism(),
      memoryBytes: totalmem(),
      kernelVersion: release(),
      operatingSystem: operatingSystem(),
      architecture: process.arch === "arm64" ? "aarch64" : "x86_64",
      cgroupVersion,
      cgroupDriver: "cgroupfs",
      abilities,
      runtime,
      securityOptions: ["name=seccomp,profile=builtin", ...(cgroupVersion === 2 ? ["name=cgroupns"] : [])],
      warnings: limitWarnings(abilities, cgroupVersion),
      debug,
    };
  }

  version(): { readonly version: string; readonly gitCommit: string; readonly buildTime: string } {
    return this.#deps.version;
  }

  async diskUsage(): Promise<{
    readonly layersBytes: number;
    readonly images: readonly { readonly image: Image; readonly containers: number; readonly sharedBytes: number }[];
    readonly containers: readonly ContainerListItem[];
    readonly volumes: readonly { readonly volume: Volume; readonly bytes: number; readonly references: number }[];
    readonly cache: readonly CacheEntry[];
  }> {
    const { store, containers, images, volumes, cacheUsage } = this.#deps;
    const [listed, items, mounted, cache] = await Promise.all([
      images.list({ all: true, filters: {} }),
      containers.list({ all: true, size: true, filters: {} }),
      volumes.usage(),
      cacheUsage(),
    ]);
    const shared = sharedBytes(
      store,
      listed.map(({ image }) => image),
    );
    return {
      layersBytes: store.usage().layerBytes,
      images: listed.map(({ image, containers }) => ({ image, containers, sharedBytes: shared(image) })),
      containers: items,
      volumes: mounted,
      cache,
    };
  }

  /** Past events since `since`, then live ones until `until` or the signal. Nanoseconds. Throws `invalid` for unknown filters. */
  events(options: {
    readonly since?: bigint;
    readonly until?: bigint;
    readonly filters: Filters;
    readonly signal: AbortSignal;
  }): AsyncIterable<EngineEvent> {
    checkFilters(options.filters, EVENT_FILTERS);
    return this.#deps.events.read(options);
  }
}

/** What `docker info` closes with; moby's daemon/info_unix.go has the words. */
function limitWarnings(can: CgroupAbilities, version: 1 | 2): string[] {
  const lacks: readonly (readonly [able: boolean, what: string])[] = [
    [can.memory, "memory limit"],
    [can.swap, "swap limit"],
    [version === 2 || can.oomKillDisable, "oom kill disable"],
    [can.cpuQuota, "cpu cfs quota"],
    [can.cpuQuota, "cpu cfs period"],
    [can.cpuShares, "cpu shares"],
    [can.cpuset, "cpuset"],
    [can.pids, "pids limit"],
    [can.blockWeight, "blkio weight"],
    [can.blockWeightDevice, "blkio weight_device"],
    [can.blockReadBps, "blkio throttle.read_bps_device"],
    [can.blockWriteBps, "blkio throttle.write_bps_device"],
    [can.blockReadIops, "blkio throttle.read_iops_device"],
    [can.blockWriteIops, "blkio throttle.write_iops_device"],
  ];
  return lacks.flatMap(([able, what]) => (able ? [] : [`WARNING: No ${what} support`]));
}

/** Bytes of an image's layers that other images have too. */
function sharedBytes(store: Store, images: readonly Image[]): (image: Image) => number {
  const counts = new Map<string, number>();
  for (const image of images) {
    for (const layer of new Set(image.layers)) counts.set(layer, (counts.get(layer) ?? 0) + 1);
  }
  return (image) =>
    image.layers
      .filter((layer) => (counts.get(layer) ?? 0) > 1)
      .reduce((sum, layer) => sum + (store.layers.get(layer)?.size ?? 0), 0);
}

function operatingSystem(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}
