import { readFileSync } from "node:fs";
import { waitPid } from "@slipway/sys";
import { zombieStatus } from "./descriptor-store.ts";

export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/**
 * Collects what the runtime leaves behind when it fails, as it does when it enters a container that is just ending. Its
 * helpers are in the container's pid namespace by then, and the first process of a namespace does not end before every
 * other one in it has been collected: without this the container would never end. A program that was started has another
 * name, so that no exit code is taken from anybody.
 */
export function reapOrphans(): void {
  for (const child of childrenOf(process.pid)) {
    if (zombieStatus(child) !== undefined && nameOf(child).startsWith("runc:[")) waitPid(child);
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "latin1");
  } catch {
    return "";
  }
}
