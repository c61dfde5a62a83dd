import { closeSync, openSync, rmSync, writeFileSync } from "node:fs";
import { closeFd } from "./file.ts";
import { kernel } from "./kernel.ts";
import { MS, mount, unmount } from "./mounts.ts";
import { scratch } from "./scratch.ts";
import { check, SystemError } from "./system-error.ts";

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

/**
 * Makes a network namespace, with `lo` up, that lives as a file: its directory must exist, the file must not.
 *
 * unshare(2) and setns(2) change the calling thread only, and everything between them here is synchronous: no other
 * JavaScript of this thread can run inside the new namespace by accident.
 */
export function createNetworkNamespace(path: string): void {
  writeFileSync(path, "", { flag: "wx", mode: 0o444 });
  try {
    inOtherNetwork(
      (call, nr) => check(call(nr.unshare, CLONE_NEWNET), "unshare", path),
      () => {
        mount("/proc/thread-self/ns/net", path, "none", MS.BIND);
        bringLoopbackUp();
      },
    );
  } catch (error) {
    removeNetworkNamespace(path);
    throw error;
  }
}

/** Removes the file of a namespace, which ends with its last process; again does nothing. */
export function removeNetworkNamespace(path: string): void {
  try {
    unmount(path, { lazy: true });
  } catch (error) {
    // EINVAL: a plain file, left by a crash before the mount, or by a reboot.
    if (!(error instanceof SystemError) || (error.code !== "EINVAL" && error.code !== "ENOENT")) throw error;
  }
  rmSync(path, { force: true });
}

/** Runs a synchronous function with this thread inside a network namespace. Sockets it opens stay there. */
export function withNetworkNamespace<T>(path: string, action: () => T): T {
  const target = openSync(path, "r");
  try {
    return inOtherNetwork((call, nr) => check(call(nr.setns, target, CLONE_NEWNET), "setns", path), action);
  } finally {
    closeSync(target);
  }
}

type Enter = (call: ReturnType<typeof kernel>["call"], nr: ReturnType<typeof kernel>["nr"]) => void;

function inOtherNetwork<T>(enter: Enter, action: () => T): T {
  const { nr, call } = kernel();
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    enter(call, nr);
    try {
      return action();
    } finally {
      const back = call(nr.setns, home, CLONE_NEWNET);
      // A thread that cannot come home would serve everything that follows from inside a container's network.
      if (back < 0) process.abort();
    }
  } finally {
    closeSync(home);
  }
}

function bringLoopbackUp(): void {
  const { nr, call } = kernel();
  const memory = scratch();
  const socket = check(call(nr.socket, AF_INET, SOCK_DGRAM_CLOEXEC, 0), "socket");
  try {
    const request = memory.zeroed(40);
    memory.bytes.write("lo", request);
    check(call(nr.ioctl, socket, SIOCGIFFLAGS, memory.address(request)), "ioctl SIOCGIFFLAGS", "lo");
    memory.view.setInt16(request + 16, memory.view.getInt16(request + 16, true) | IFF_UP, true);
    check(call(nr.ioctl, socket, SIOCSIFFLAGS, memory.address(request)), "ioctl SIOCSIFFLAGS", "lo");
  } finally {
    closeFd(socket);
  }
}
