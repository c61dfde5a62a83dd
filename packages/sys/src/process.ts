import { readFileSync } from "node:fs";
import { kernel } from "./kernel.ts";
import { scratch } from "./scratch.ts";
import { signalNumber } from "./signals.ts";
import { check, ECHILD, EINTR, ESRCH, SystemError } from "./system-error.ts";

const PR = {
  SET_PDEATHSIG: 1,
  SET_NAME: 15,
  SET_CHILD_SUBREAPER: 36,
  GET_CHILD_SUBREAPER: 37,
  SET_NO_NEW_PRIVS: 38,
} as const;
const WNOHANG = 1;

export interface ChildExit {
  readonly pid: number;
  /** 0 to 255; for a signal 128 plus its number, as shells and Docker have it. */
  readonly exitCode: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
  readonly coreDumped: boolean;
}

/** Orphaned descendants become our children instead of init's. */
export function setSubreaper(on = true): void {
  const { nr, call } = kernel();
  check(call(nr.prctl, PR.SET_CHILD_SUBREAPER, on ? 1 : 0, 0, 0, 0), "prctl");
}

/** The signal (or 0 for none) that this process gets when the thread that started it ends. */
export function setParentDeathSignal(signal: number): void {
  const { nr, call } = kernel();
  check(call(nr.prctl, PR.SET_PDEATHSIG, signal, 0, 0, 0), "prctl");
}

/** The name of the calling thread, at most 15 bytes. */
export function setProcessName(name: string): void {
  const { nr, call } = kernel();
  check(call(nr.prctl, PR.SET_NAME, scratch().string(name.slice(0, 15)), 0, 0, 0), "prctl");
}

/**
 * Collects the end of one child (never -1 in a process that also uses `Bun.spawn`, whose children it would take). With
 * `nohang` undefined means that it still runs. A pid that is no child of ours (any more) is an error with code ECHILD.
 */
export function waitPid(pid: number, nohang = true): ChildExit | undefined {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.take(4);
  for (;;) {
    const result = call(nr.wait4, pid, memory.address(at), nohang ? WNOHANG : 0, 0);
    if (result === 0) return undefined;
    if (result > 0) return decodeStatus(result, memory.view.getUint32(at, true));
    if (result !== -EINTR) throw new SystemError("waitpid", -result, `pid ${pid}`);
  }
}

/** Every child that has ended, oldest first. Only for a process whose children are all its own to collect. */
export function reapAll(): ChildExit[] {
  const ended: ChildExit[] = [];
  for (;;) {
    try {
      const exit = waitPid(-1, true);
      if (exit === undefined) return ended;
      ended.push(exit);
    } catch (error) {
      if (error instanceof SystemError && error.errno === -ECHILD) return ended;
      throw error;
    }
  }
}

/** wait(2): the low seven bits are the signal, the eighth the core, the next byte the exit code. */
export function decodeStatus(pid: number, status: number): ChildExit {
  const signal = status & 0x7f;
  const coreDumped = (status & 0x80) !== 0;
  if (signal === 0) return { pid, exitCode: (status >>> 8) & 0xff, coreDumped: false };
  return { pid, exitCode: 128 + signal, signal, coreDumped };
}

/** False if there is no such process. `signal` 0 only asks. */
export function kill(pid: number, signal: number | string): boolean {
  const { nr, call } = kernel();
  const number = typeof signal === "number" ? signal : signalNumber(signal);
  const result = call(nr.kill, pid, number);
  if (result === -ESRCH) return false;
  check(result, "kill", `pid ${pid}`);
  return true;
}

/** A descriptor that stands for a process and never for another with the same number; poll it for its end. */
export function pidfdOpen(pid: number): number {
  const { nr, call } = kernel();
  return check(call(nr.pidfd_open, pid, 0), "pidfd_open", `pid ${pid}`);
}

/** False if the process has ended. */
export function pidfdSendSignal(pidfd: number, signal: number): boolean {
  const { nr, call } = kernel();
  const result = call(nr.pidfd_send_signal, pidfd, signal, 0, 0);
  if (result === -ESRCH) return false;
  check(result, "pidfd_send_signal");
  return true;
}

/** `PIDFD_GET_INFO` with the 64 bytes that kernel 6.13 defined, and the bit that asks for the exit code (6.15). */
const PIDFD_GET_INFO = 0xc040ff0b;
const PIDFD_INFO_SIZE = 64;
const PIDFD_INFO_EXIT = 8;
const EXIT_CODE_OFFSET = 60;

/**
 * The status, as wait(2) encodes it, of a process that has ended and that its parent has collected, whoever that was.
 * Undefined before that, and before Linux 6.15.
 */
export function pidfdExitStatus(pidfd: number): number | undefined {
  const { nr, call } = kernel();
  const memory = scratch();
  const at = memory.zeroed(PIDFD_INFO_SIZE);
  memory.view.setUint32(at, PIDFD_INFO_EXIT, true);
  if (call(nr.ioctl, pidfd, PIDFD_GET_INFO, memory.address(at)) < 0) return undefined;
  const isKnown = (memory.view.getUint32(at, true) & PIDFD_INFO_EXIT) !== 0;
  return isKnown ? memory.view.getInt32(at + EXIT_CODE_OFFSET, true) : undefined;
}

/** When a process started, in clock ticks since the boot: with the pid it names a process for good. Undefined if it is gone. */
export function processStartTime(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold anything, also `)`; fields count from behind the last one.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/** Changes with every boot of the machine. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
}
