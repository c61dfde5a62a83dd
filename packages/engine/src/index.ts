/** Containers, images, volumes and networks as services. It knows nothing of HTTP, of builds or of the command line. */

export { ContainerService, type RunWatcher } from "./containers/container-service.ts";
export type { StatsSample, StatsUsage } from "./containers/container-stats.ts";
export type { ContainerListItem } from "./containers/container-view.ts";
export { ExecService } from "./containers/exec-service.ts";
export { type CloseOptions, createEngine, type Engine, type EngineOptions } from "./engine.ts";
export { EventLog } from "./events/event-log.ts";
export type {
  Container,
  ContainerConfig,
  ContainerEndpoint,
  ContainerLimits,
  ContainerMount,
  ContainerState,
  ContainerStatus,
  CreateContainer,
  EndpointSettings,
  EngineEvent,
  ExecConfig,
  ExecState,
  HealthProbe,
  HealthState,
  HostConfig,
  MountPoint,
  PortBinding,
  Volume,
} from "./faces.ts";
export type { ContainerChange } from "./files/container-changes.ts";
export type { CommitRequest } from "./files/container-commit.ts";
export type { PathStat } from "./files/container-path.ts";
export { FileService } from "./files/file-service.ts";
export type { Filters } from "./filters.ts";
export { type ImageHistoryItem, ImageService } from "./images/image-service.ts";
export { NetworkService } from "./networks/network-service.ts";
export type { CachePlan, PrunedItem, PrunePlan, PruneStep } from "./prune/prune-plan.ts";
export { type PruneReport, type PruneResult, PruneService } from "./prune/prune-service.ts";
export { engineMigrations } from "./schema.ts";
export { type SystemInfo, SystemService } from "./system-service.ts";
export type { TrashPolicy } from "./trash/trash-policy.ts";
export { type TrashContents, type TrashItem, TrashService } from "./trash/trash-service.ts";
export { VolumeService } from "./volumes/volume-service.ts";
