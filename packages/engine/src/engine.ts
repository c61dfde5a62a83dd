import type { Logger } from "@slipway/base";
import type { Networks } from "@slipway/network";
import type { LogPolicy, Supervisor } from "@slipway/runtime";
import type { Store } from "@slipway/store";
import type { ContainerService } from "./container-service.ts";
import type { EventLog } from "./event-log.ts";
import type { ExecService } from "./exec-service.ts";
import type { ImageService } from "./image-service.ts";
import type { NetworkService } from "./network-service.ts";
import type { SystemService } from "./system-service.ts";
import type { VolumeService } from "./volume-service.ts";

export interface EngineOptions<CacheEntry> {
  readonly store: Store;
  readonly supervisor: Supervisor;
  readonly networks: Networks;
  /** Absolute paths. Bundles and mount points lie below `execRoot`, what must survive a reboot below `dataRoot`. */
  readonly paths: { readonly dataRoot: string; readonly execRoot: string };
  readonly log: Logger;
  readonly version: { readonly version: string; readonly gitCommit: string; readonly buildTime: string };
  /** The OCI runtime, for `info`. */
  readonly runtime: { readonly name: string; readonly path: string; readonly version: string };
  /** The build cache's part of the disk usage; the engine knows nothing of builds. */
  readonly cacheUsage: () => Promise<readonly CacheEntry[]>;
  /** For containers that do not ask for anything else; json-file, 10 MiB, 3 files unless given. */
  readonly logPolicy?: LogPolicy;
  readonly debug?: boolean;
}

/** The engine's services. Each satisfies the interface of the same name that the HTTP server declares. */
export interface Engine<CacheEntry> {
  readonly containers: ContainerService;
  readonly execs: ExecService;
  readonly images: ImageService;
  readonly volumes: VolumeService;
  readonly networks: NetworkService;
  readonly system: SystemService<CacheEntry>;
  /** Where others announce what they did (a build, a daemon's reload). */
  readonly events: EventLog;
  /**
   * Makes database, supervisor, mounts and network agree after whatever happened while no daemon ran, then applies restart
   * policies. Call once, before the first request is answered.
   */
  restore(): Promise<void>;
  /**
   * Ends the engine. Containers go on running unless `stopContainers`; then each gets its stop signal and at most
   * `timeout` seconds. Unfinished clean-ups are finished, or left to the next `restore`.
   */
  close(options?: { readonly stopContainers?: boolean; readonly timeout?: number }): Promise<void>;
}

/** Puts the services together; makes its tables, touches nothing else yet. */
export declare function createEngine<CacheEntry>(options: EngineOptions<CacheEntry>): Engine<CacheEntry>;
