import { readFileSync, readlinkSync } from "node:fs";
import {
  closeFd,
  copyDescriptorOf,
  inheritedSocketPair,
  pidfdOpen,
  receiveLabelled,
  sendLabelled,
  setSendBuffer,
} from "@slipway/sys";

/** Room for some thousand processes' descriptors. */
const QUEUE_BYTES = 8 * 1024 * 1024;

/** The two ends of the pair as numbers in the keeper, which inherits them. */
export interface StoreEnds {
  readonly sender: number;
  readonly receiver: number;
}

/** Makes the pair in the process that will become the keeper. */
export function makeStoreEnds(): StoreEnds {
  const [sender, receiver] = inheritedSocketPair();
  return { sender, receiver };
}

/**
 * Keeps descriptors alive across the death of this process: they are in flight in a socket that the keeper, a program
 * which only sleeps, holds open. Nobody needs to run for that. So a terminal does not hang up, a pipe keeps what nobody has
 * read, and a container's stdin does not end when the supervisor is killed.
 */
export class DescriptorStore {
  readonly #sender: number;
  readonly #receiver: number;

  constructor(keeperPid: number, ends: StoreEnds) {
    const pidfd = pidfdOpen(keeperPid);
    try {
      this.#sender = copyDescriptorOf(pidfd, ends.sender);
      this.#receiver = copyDescriptorOf(pidfd, ends.receiver);
    } finally {
      closeFd(pidfd);
    }
    setSendBuffer(this.#sender, QUEUE_BYTES);
  }

  put(label: string, fds: readonly number[]): void {
    if (fds.length > 0) sendLabelled(this.#sender, fds, label);
  }

  remove(unwanted: (label: string) => boolean): void {
    for (const entry of this.takeAll()) {
      if (!unwanted(entry.label)) sendLabelled(this.#sender, entry.fds, entry.label);
      for (const fd of entry.fds) closeFd(fd);
    }
  }

  /** Empties the store: the descriptors are the caller's. */
  takeAll(): { readonly label: string; readonly fds: readonly number[] }[] {
    const entries = [];
    for (let entry = receiveLabelled(this.#receiver); entry !== undefined; entry = receiveLabelled(this.#receiver)) {
      entries.push(entry);
    }
    return entries;
  }

  close(): void {
    closeFd(this.#sender);
    closeFd(this.#receiver);
  }
}

/** The exit status of a process that ended and was not collected, as wait(2) encodes it; undefined if there is none. */
export function zombieStatus(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields?.[0] === "Z" ? Number(fields[49]) : undefined;
}

const PF_EXITING = 4;

/**
 * The exit status of a process that has ended all but for one thing: it is the first of its pid namespace, and waits until
 * every other one in it has been collected.
 */
export function endingStatus(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields !== undefined && fields[0] !== "Z" && (Number(fields[6]) & PF_EXITING) !== 0
    ? Number(fields[49])
    : undefined;
}

/** The name of the pid namespace that a process is in, also of one that was not collected; empty if it is gone. */
export function pidNamespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return "";
  }
}

/** When a process started, also of one that has ended and was not collected. */
export function startTimeOf(pid: number): number | undefined {
  const fields = statFields(pid);
  return fields === undefined ? undefined : Number(fields[19]);
}

/** From the state on: the name before it may hold anything, also `)`. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
