import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type SlipwayError, writeFileAtomic } from "@slipway/base";
import { closeFd, pidfdExitStatus, pidfdOpen, pidfdSendSignal, READY, SystemError, waitPid } from "@slipway/sys";
import type { ExitRecord, LogPolicy } from "../faces.ts";
import { LogWriter } from "../logs/log-writer.ts";
import { readPidFile } from "../runc.ts";
import type { DescriptorStore } from "./descriptor-store.ts";
import { endingStatus, startTimeOf, zombieStatus } from "./descriptor-store.ts";
import type { Loop } from "./loop.ts";
import { makeInputFifo, makeOutputFifo } from "./output-pipe.ts";
import { closeDescriptors, type Stdio, type StdioDescriptors } from "./stdio.ts";
import type { ProcessPaths } from "./supervisor-paths.ts";

/** What a successor must know of a process; written before the runtime is started. */
export interface ProcessMeta {
  readonly id: string;
  readonly execId?: string;
  readonly terminal: boolean;
  readonly openStdin: boolean;
  readonly stdinOnce: boolean;
  readonly log?: LogPolicy;
  readonly logDirectory?: string;
  /** Of an exec's request. */
  readonly note?: string;
}

export interface ProcessContext {
  readonly loop: Loop;
  readonly store: DescriptorStore | undefined;
  readonly oomKilled: (process: SupervisedProcess) => boolean;
  readonly onExit: (process: SupervisedProcess, exit: ExitRecord) => void;
}

/** The exit code that stands for one that nobody could read. */
const UNKNOWN_EXIT = 255;
const SIGKILL = 9;

type Phase = "starting" | "running" | "exited";

/** A container's first process or an exec: its files, its stdio, its end. */
export class SupervisedProcess {
  readonly meta: ProcessMeta;
  readonly paths: ProcessPaths;
  readonly stdio: Stdio;
  readonly #context: ProcessContext;
  #phase: Phase = "starting";
  #pid = 0;
  #pidfd = -1;
  #exit: ExitRecord | undefined;
  /** What was seen of its end before it was over. */
  #seenStatus: number | undefined;
  /** To be ended as soon as it runs. */
  #doomed = false;
  readonly #whenExited: (() => void)[] = [];

  constructor(context: ProcessContext, meta: ProcessMeta, paths: ProcessPaths, stdio: Stdio) {
    this.#context = context;
    this.meta = meta;
    this.paths = paths;
    this.stdio = stdio;
  }

  get key(): string {
    return processKey(this.meta.id, this.meta.execId);
  }

  get phase(): Phase {
    return this.#phase;
  }

  get pid(): number {
    return this.#pid;
  }

  get isEnding(): boolean {
    return endingStatus(this.#pid) !== undefined;
  }

  get exit(): ExitRecord | undefined {
    return this.#exit;
  }

  /** Makes the directory and the FIFOs. What the process gets must be closed by the caller once it is started. */
  prepare(): { readonly ours: StdioDescriptors; readonly theirs: readonly [number, number, number] } {
    rmSync(this.paths.directory, { recursive: true, force: true });
    mkdirSync(this.paths.directory, { recursive: true, mode: 0o711 });
    writeFileSync(this.paths.meta, JSON.stringify(this.meta), { mode: 0o600 });
    const nothing = () => openSync("/dev/null", "r+");
    if (this.meta.terminal) return { ours: {}, theirs: [nothing(), nothing(), nothing()] };
    const stdout = makeOutputFifo(this.paths.stdout);
    const stderr = makeOutputFifo(this.paths.stderr);
    const stdin = this.meta.openStdin ? makeInputFifo(this.paths.stdin) : undefined;
    return {
      ours: { stdout: stdout.ours, stderr: stderr.ours, ...(stdin === undefined ? {} : { stdin: stdin.ours }) },
      theirs: [stdin?.theirs ?? nothing(), stdout.theirs, stderr.theirs],
    };
  }

  /** The runtime has started it. */
  started(descriptors: StdioDescriptors): void {
    const pid = readPidFile(this.paths.pid);
    if (pid === undefined) throw new Error("the runtime wrote no pid file");
    this.#adopt(pid);
    writeFileAtomic(this.paths.identity, JSON.stringify({ pid, startTime: startTimeOf(pid) }), { durable: false });
    this.#keep(descriptors);
    this.#openStdio(descriptors);
    this.#watchEnd();
    if (this.#doomed) this.signal(SIGKILL);
  }

  /** The runtime has not; nothing is left of it. */
  failed(descriptors: StdioDescriptors): void {
    this.#phase = "exited";
    closeDescriptors(descriptors);
    this.stdio.abandon();
    rmSync(this.paths.directory, { recursive: true, force: true });
    for (const run of this.#whenExited.splice(0)) run();
  }

  /** Takes over a process of a predecessor, with the descriptors that were kept (or could be opened again). */
  resume(descriptors: StdioDescriptors): void {
    const identity = readIdentity(this.paths);
    this.#openStdio(descriptors);
    this.#keep(descriptors);
    if (identity === undefined || startTimeOf(identity.pid) !== identity.startTime) {
      this.#ended(UNKNOWN_EXIT, true);
      return;
    }
    try {
      this.#adopt(identity.pid);
    } catch {
      this.#ended(UNKNOWN_EXIT, true);
      return;
    }
    this.#watchEnd();
  }

  /** An end that a predecessor recorded. */
  restoreExit(exit: ExitRecord): void {
    this.#phase = "exited";
    this.#exit = exit;
    this.stdio.abandon();
  }

  signal(signal: number): boolean {
    return this.#phase === "running" && pidfdSendSignal(this.#pidfd, signal);
  }

  /** Kills it, also if the runtime is still at its start: whoever asked for that may have died meanwhile. */
  end(): void {
    if (this.#phase === "starting") this.#doomed = true;
    else this.signal(SIGKILL);
  }

  /** Calls back once it has ended, at once if it has. */
  whenExited(run: () => void): void {
    if (this.#phase === "exited") run();
    else this.#whenExited.push(run);
  }

  #adopt(pid: number): void {
    this.#pid = pid;
    this.#pidfd = pidfdOpen(pid);
    this.#phase = "running";
  }

  #watchEnd(): void {
    this.#context.loop.watch(this.#pidfd, READY.in, () => this.#collect());
  }

  #openStdio(descriptors: StdioDescriptors): void {
    const { log, logDirectory, id } = this.meta;
    const writer =
      log === undefined || log.driver === "none" || logDirectory === undefined
        ? undefined
        : new LogWriter(logDirectory, id, log);
    this.stdio.open(descriptors, {
      directory: this.paths.directory,
      log: writer,
      stdinOnce: this.meta.stdinOnce,
      // A kept writing end would keep the reader waiting for ever.
      onStdinClosed: () => this.#keepWithout(descriptors),
    });
  }

  #keep(descriptors: StdioDescriptors): void {
    const { store } = this.#context;
    if (store === undefined) return;
    const names = (Object.keys(descriptors) as (keyof StdioDescriptors)[]).filter(
      (name) => descriptors[name] !== undefined,
    );
    const fds = names.map((name) => descriptors[name] ?? -1);
    store.put(`${this.key} ${names.join(",")}`, fds);
  }

  #keepWithout(descriptors: StdioDescriptors): void {
    this.#forget();
    if (this.#phase !== "running") return;
    const { stdin: _, ...rest } = descriptors;
    this.#keep(rest);
  }

  #forget(): void {
    this.#context.store?.remove((label) => label.startsWith(`${this.key} `));
  }

  #collect(): void {
    const status = this.#status();
    this.#context.loop.unwatch(this.#pidfd);
    closeFd(this.#pidfd);
    this.#ended(status ?? UNKNOWN_EXIT, status === undefined);
  }

  /** Reads what can be read of its end by now: whoever keeps its zombie is about to go. */
  noteEnd(): void {
    if (this.#phase !== "running") return;
    if (zombieStatus(this.#pid) !== undefined) this.#collect();
    else this.#seenStatus = endingStatus(this.#pid);
  }

  /**
   * Ours to collect, or, after a predecessor's death, to be read off the zombie that its keeper leaves lying, or that the
   * keeper has left to somebody else.
   */
  #status(): number | undefined {
    try {
      return waitPid(this.#pid)?.exitCode;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
    const status = zombieStatus(this.#pid) ?? pidfdExitStatus(this.#pidfd) ?? this.#seenStatus;
    if (status === undefined) return undefined;
    return (status & 0x7f) === 0 ? (status >>> 8) & 0xff : 128 + (status & 0x7f);
  }

  #ended(exitCode: number, unknown: boolean): void {
    this.#phase = "exited";
    const { id, execId } = this.meta;
    this.#exit = {
      id,
      ...(execId === undefined ? {} : { execId }),
      exitCode,
      oomKilled: this.#context.oomKilled(this),
      finishedAt: Date.now(),
      ...(unknown ? { exitCodeUnknown: true } : {}),
    };
    // The log is complete and the record is on disk before anybody hears of it.
    this.stdio.finish();
    writeFileAtomic(this.paths.exit, JSON.stringify(this.#exit), { durable: false });
    this.#forget();
    this.#context.onExit(this, this.#exit);
    for (const run of this.#whenExited.splice(0)) run();
  }
}

export function processKey(id: string, execId?: string): string {
  return execId === undefined ? id : `${id}/${execId}`;
}

/** The error of a start; the directory is gone then. */
export type StartFailure = SlipwayError;

interface Identity {
  readonly pid: number;
  readonly startTime: number | undefined;
}

function readIdentity(paths: ProcessPaths): Identity | undefined {
  try {
    const value = JSON.parse(readFileSync(paths.identity, "utf8")) as Identity;
    return Number.isSafeInteger(value.pid) ? value : undefined;
  } catch {
    // Killed between the runtime's word and ours: its pid file is enough if the process is still there.
    const pid = readPidFile(join(paths.directory, "pid"));
    return pid === undefined ? undefined : { pid, startTime: startTimeOf(pid) };
  }
}
