/**
 * The Docker Engine HTTP API over backends that it declares itself. It keeps no state of its own and knows nothing of
 * how containers, images or builds are made.
 */
export { formatApiVersion, MAX_API_VERSION, MIN_API_VERSION } from "./api-version.ts";
export type {
  Backends,
  BuildBackend,
  ContainerBackend,
  ContainerListItem,
  ExecBackend,
  FileBackend,
  Filters,
  ImageBackend,
  ImageHistoryItem,
  NetworkBackend,
  PathStat,
  SystemBackend,
  SystemInfo,
  VolumeBackend,
} from "./backend.ts";
export { encodeBuildEvent, readWireBuildRequest } from "./build-wire.ts";
export type { ListenAddress } from "./http/listener.ts";
export { type ApiServer, type ApiServerOptions, serveApi } from "./server.ts";
