/** Containers, images, volumes and networks as services. It knows nothing of HTTP, of builds or of the command line. */
export { type ContainerListItem, ContainerService } from "./container-service.ts";
export { createEngine, type Engine, type EngineOptions } from "./engine.ts";
export { EventLog } from "./event-log.ts";
export { ExecService } from "./exec-service.ts";
export type * from "./faces.ts";
export type { Filters } from "./filters.ts";
export { type ImageHistoryItem, ImageService } from "./image-service.ts";
export { NetworkService } from "./network-service.ts";
export { type SystemInfo, SystemService } from "./system-service.ts";
export { VolumeService } from "./volume-service.ts";
