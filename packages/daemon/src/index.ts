/** The engine's process: configuration, composition, signals. It makes nothing itself; it puts the packages together. */
export { type DaemonAddress, parseAddress } from "./address.ts";
export {
  type DaemonConfig,
  type DaemonFlags,
  DEFAULT_DATA_ROOT,
  DEFAULT_EXEC_ROOT,
  DEFAULT_SOCKET,
  resolveConfig,
} from "./config.ts";
export { runDaemon } from "./daemon.ts";
export { daemonLogPath, startDetachedDaemon } from "./detached.ts";
