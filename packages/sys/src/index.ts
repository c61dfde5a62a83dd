/**
 * The only place that talks to the kernel by FFI. Everything is synchronous and thin: one function, one or two system
 * calls. Failures are `SystemError`s in the shape of `node:fs`. It knows nothing of layers, containers or networks.
 */

export { releaseCodePages } from "./code-pages.ts";
export {
  copyDescriptorOf,
  copyDescriptorOfPeer,
  receiveLabelled,
  sendLabelled,
  setSendBuffer,
} from "./descriptor-passing.ts";
export {
  chmodAt,
  chownAt,
  linkAt,
  mkdirAt,
  mknodAt,
  openAt,
  readlinkAt,
  renameAt,
  symlinkAt,
  unlinkAt,
} from "./directory-fd.ts";
export {
  closeFd,
  copyFileRange,
  fdPath,
  flock,
  type LockOptions,
  link,
  lutimes,
  mkfifo,
  mknod,
  O,
  openPath,
  setNonblocking,
  syncfs,
  utimesAt,
} from "./file.ts";
export {
  type BindOptions,
  bindMount,
  type MountInfo,
  MS,
  mount,
  mounts,
  mountTmpfs,
  type Propagation,
  parseMountInfo,
  type TmpfsOptions,
  unmount,
  unmountBelow,
} from "./mounts.ts";
export { createNetworkNamespace, removeNetworkNamespace, withNetworkNamespace } from "./namespaces.ts";
export { NETLINK_NETFILTER, NETLINK_ROUTE, type NetlinkRequest, NetlinkSocket } from "./netlink.ts";
export { mountOverlay, type OverlayOptions } from "./overlay.ts";
export {
  bootId,
  type ChildExit,
  decodeStatus,
  kill,
  pidfdExitStatus,
  pidfdOpen,
  pidfdSendSignal,
  processStartTime,
  reapAll,
  setParentDeathSignal,
  setProcessName,
  setSubreaper,
  waitPid,
} from "./process.ts";
export {
  type ConsoleSocket,
  openConsoleSocket,
  openPty,
  type PeerCredentials,
  peerCredentials,
  sendDescriptor,
  setOutputProcessing,
  setWindowSize,
  type WindowSize,
  windowSize,
} from "./pty.ts";
export { Epoll, READY } from "./readiness.ts";
export { mkdirInRoot, openInRoot, openWith, RESOLVE, resolveInRoot } from "./rooted-path.ts";
export { signalName, signalNumber } from "./signals.ts";
export { replaceProcess, type SpawnOptions, setCloseOnExec, spawnProcess, supportsX32 } from "./spawn.ts";
export { type FileKind, type FileStat, fstatNs, lstatAt, lstatNs, statNs } from "./stat.ts";
export {
  acceptConnection,
  inheritedSocketPair,
  listenUnix,
  readSome,
  sendSome,
  splicePipe,
  teePipe,
  unreadByPeer,
  WOULD_BLOCK,
  writeSome,
} from "./stream-io.ts";
export { SystemError } from "./system-error.ts";
export { statBatch, type WalkEntry, type WalkVisitor, walkDirectory } from "./walk.ts";
export { writeBehind } from "./write-behind.ts";
export { lgetxattr, llistxattr, lremovexattr, lsetxattr, readXattrs } from "./xattr.ts";
