import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, hostname, release, totalmem } from "node:os";
import type { CgroupAbilities } from "@slipway/runtime";
import type { Image, Store } from "@slipway/store";
import { backingFileSystem } from "./backing-file-system.ts";
import type { ContainerService } from "./containers/container-service.ts";
import type { ContainerListItem } from "./containers/container-view.ts";
import type { EventLog } from "./events/event-log.ts";
import type { EngineEvent, Volume } from "./faces.ts";
import { checkFilters, type Filters } from "./filters.ts";
import type { ImageService } from "./images/image-service.ts";
import { sharedBytes } from "./images/shared-layers.ts";
import type { VolumeService } from "./volumes/volume-service.ts";

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
  /** `VERSION_ID` of the operating system; empty when it is not told. */
  readonly osVersion: string;
  readonly listeners: number;
  /** Open descriptors of the daemon. */
  readonly descriptors: number;
  readonly ipForwarding: boolean;
  /** What the data root lies on, as Docker names it. */
  readonly backingFileSystem: string;
  /** Overlays keep their marks in attributes of users, not of root. */
  readonly userxattr: boolean;
  /** Of containers that choose nothing. */
  readonly loggingDriver: string;
  readonly registries: { readonly mirrors: readonly string[]; readonly insecureRegistries: readonly string[] };
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
  readonly loggingDriver: string;
  readonly registries: SystemInfo["registries"];
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
    const { store, events, containers, cgroupVersion, abilities, runtime, debug, id, loggingDriver, registries } =
      this.#deps;
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
      operatingSystem: osRelease("PRETTY_NAME") ?? "Linux",
      architecture: process.arch === "arm64" ? "aarch64" : "x86_64",
      cgroupVersion,
      cgroupDriver: "cgroupfs",
      abilities,
      runtime,
      securityOptions: ["name=seccomp,profile=builtin", ...(cgroupVersion === 2 ? ["name=cgroupns"] : [])],
      warnings: limitWarnings(abilities, cgroupVersion),
      debug,
      osVersion: osRelease("VERSION_ID") ?? "",
      listeners: events.listeners,
      // Counting costs a walk, and Docker counts only for those who look for faults.
      descriptors: debug ? readdirSync("/proc/self/fd").length : 0,
      ipForwarding: forwards(),
      backingFileSystem: backingFileSystem(store.root),
      userxattr: store.userxattr,
      loggingDriver,
      registries,
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

/** A field of the machine's own description of itself. */
function osRelease(name: string): string | undefined {
  try {
    return new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

function forwards(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() === "1";
  } catch {
    return false;
  }
}
