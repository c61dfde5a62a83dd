import type { Image } from "@slipway/store";
import type { ContainerListItem } from "./container-service.ts";
import type { EngineEvent, Volume } from "./faces.ts";
import type { Filters } from "./filters.ts";

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
  readonly runtime: { readonly name: string; readonly path: string; readonly version: string };
  readonly securityOptions: readonly string[];
  readonly warnings: readonly string[];
  readonly debug: boolean;
}

export declare class SystemService<CacheRecord> {
  info(): Promise<SystemInfo>;
  version(): { readonly version: string; readonly gitCommit: string; readonly buildTime: string };
  diskUsage(): Promise<{
    readonly layersBytes: number;
    readonly images: readonly { readonly image: Image; readonly containers: number; readonly sharedBytes: number }[];
    readonly containers: readonly ContainerListItem[];
    readonly volumes: readonly { readonly volume: Volume; readonly bytes: number; readonly references: number }[];
    readonly cache: readonly CacheRecord[];
  }>;
  /** Past events since `since`, then live ones until `until` or the signal. Nanoseconds. */
  events(options: {
    readonly since?: bigint;
    readonly until?: bigint;
    readonly filters: Filters;
    readonly signal: AbortSignal;
  }): AsyncIterable<EngineEvent>;
}
