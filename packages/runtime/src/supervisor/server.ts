import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { SlipwayError } from "@slipway/base";
import { closeFd, kill, openConsoleSocket } from "@slipway/sys";
import type { Cgroup } from "../cgroup.ts";
import type { ExecRequest, ExitRecord, KnownExec, StartRequest } from "../faces.ts";
import { Runc } from "../runc.ts";
import type { Connection } from "./connection.ts";
import { type DescriptorStore, pidNamespaceOf } from "./descriptor-store.ts";
import { execProcessSpec, writeConsoleSize } from "./exec-spec.ts";
import { cgroupOf, list, named, readJson, readLink, reopen } from "./found-files.ts";
import type { Loop } from "./loop.ts";
import { PipeScratch } from "./output-pipe.ts";
import { startRuntime } from "./runtime-child.ts";
import { Stdio, type StdioDescriptors } from "./stdio.ts";
import { type ProcessContext, type ProcessMeta, processKey, SupervisedProcess } from "./supervised-process.ts";
import { ProcessPaths, type SupervisorPaths } from "./supervisor-paths.ts";

type Done<T> = (error: unknown, result?: T) => void;
type Started = { readonly pid: number };

interface ConsoleSize {
  readonly rows: number;
  readonly columns: number;
}

/** A container and its execs. */
interface Contained {
  readonly bundle: string;
  readonly cgroup: Cgroup;
  readonly init: SupervisedProcess;
  readonly execs: Map<string, SupervisedProcess>;
  /** Execs that the runtime is about to start. */
  launching: number;
  /** A pause that waits for them. */
  pause: (() => void) | undefined;
}

/** What the supervisor does; the connections' side of it is elsewhere. Everything is synchronous or calls back once. */
export class SupervisorServer {
  readonly #loop: Loop;
  readonly #paths: SupervisorPaths;
  readonly #scratch: PipeScratch;
  readonly #runc: Runc;
  readonly #context: ProcessContext;
  readonly #containers = new Map<string, Contained>();
  /** Clients that are attached to what is not started yet. */
  readonly #expected = new Map<string, Stdio>();
  #consoles = 0;

  constructor(
    loop: Loop,
    paths: SupervisorPaths,
    store: DescriptorStore | undefined,
    onExit: (exit: ExitRecord) => void,
  ) {
    this.#loop = loop;
    this.#paths = paths;
    this.#scratch = new PipeScratch(paths.root);
    this.#runc = new Runc(paths.runtime);
    this.#context = {
      loop,
      store,
      oomKilled: (process) => this.#oomKilled(process),
      onExit: (_process, exit) => onExit(exit),
    };
  }

  /** Whether anything runs or is about to. */
  get busy(): boolean {
    if (this.#expected.size > 0) return true;
    for (const { init, execs } of this.#containers.values()) {
      if (init.phase !== "exited") return true;
      for (const exec of execs.values()) if (exec.phase !== "exited") return true;
    }
    return false;
  }

  start(request: StartRequest, done: Done<Started>): void {
    const { id, bundle } = request;
    const existing = this.#containers.get(id);
    if (existing !== undefined && existing.init.phase !== "exited") {
      throw new SlipwayError("conflict", `container ${id} runs already`);
    }
    const cgroup = cgroupOf(bundle);
    const meta: ProcessMeta = {
      id,
      terminal: request.terminal,
      openStdin: request.openStdin,
      stdinOnce: request.stdinOnce,
      log: request.log,
      logDirectory: request.logDirectory,
    };
    const init = new SupervisedProcess(this.#context, meta, new ProcessPaths(bundle), this.#stdioFor(id));
    this.#containers.set(id, { bundle, cgroup, init, execs: new Map(), launching: 0, pause: undefined });
    rmSync(ProcessPaths.execs(bundle), { recursive: true, force: true });
    this.#link(id, bundle);
    const command = ["run", "--detach", "--bundle", bundle, "--pid-file", init.paths.pid];
    const setup = () => {
      if (request.terminal && request.consoleSize) writeConsoleSize(bundle, request.consoleSize);
    };
    this.#launch(init, { before: command, after: [id], setup }, (error, result) => {
      if (error !== undefined && error !== null) this.#forget(id);
      done(error, result);
    });
  }

  exec(request: ExecRequest, done: Done<Started>): void {
    const { containerId, execId } = request;
    const container = this.#container(containerId);
    if (container.init.phase !== "running") throw notRunning(containerId);
    // The runtime would hang in what stands still until somebody resumes it.
    if (container.pause !== undefined || container.cgroup.isFrozen()) throw isPaused(containerId);
    const meta: ProcessMeta = {
      id: containerId,
      execId,
      terminal: request.terminal,
      openStdin: request.openStdin,
      stdinOnce: true,
      ...(request.note === undefined ? {} : { note: request.note }),
    };
    const paths = new ProcessPaths(container.bundle, execId);
    const stdio = this.#stdioFor(processKey(containerId, execId));
    const exec = new SupervisedProcess(this.#context, meta, paths, stdio);
    container.execs.set(execId, exec);
    const command = ["exec", "--detach", "--pid-file", paths.pid, "--process", paths.execSpec];
    const setup = () => {
      writeFileSync(paths.execSpec, JSON.stringify(execProcessSpec(request, container.bundle)), { mode: 0o600 });
    };
    container.launching++;
    this.#launch(exec, { before: command, after: [containerId], setup }, (error, result) => {
      if (error !== undefined && error !== null) container.execs.delete(execId);
      if (--container.launching === 0) container.pause?.();
      done(error, result);
    });
  }

  attach(connection: Connection, target: { id: string; execId?: string; stdin: boolean }): void {
    const process = this.#process(target.id, target.execId);
    // A container that has ended may be about to start again.
    if (process !== undefined && process.phase !== "exited") {
      process.stdio.attach(connection, target.stdin);
      return;
    }
    const key = processKey(target.id, target.execId);
    const stdio = this.#expected.get(key) ?? new Stdio(this.#loop, this.#scratch, () => this.#expected.delete(key));
    this.#expected.set(key, stdio);
    stdio.attach(connection, target.stdin);
  }

  signal(id: string, signal: number, options: { readonly execId?: string; readonly all?: boolean }): void {
    const process = this.#process(id, options.execId);
    if (process === undefined || process.phase !== "running") throw notRunning(id);
    if (options.all) for (const pid of this.#containers.get(id)?.cgroup.processes() ?? []) kill(pid, signal);
    else if (!process.signal(signal)) throw notRunning(id);
  }

  resize(id: string, size: ConsoleSize, execId?: string): void {
    const process = this.#process(id, execId);
    if (process === undefined || process.phase !== "running") throw notRunning(id);
    process.stdio.resize(size.rows, size.columns);
  }

  /** What is so already is well: a predecessor may have done it and not lived to say so. */
  freeze(command: "pause" | "resume", id: string, done: Done<null>): void {
    const container = this.#container(id);
    if (container.init.phase !== "running") throw notRunning(id);
    if (container.cgroup.isFrozen() === (command === "pause")) {
      done(undefined, null);
      return;
    }
    const run = (): void => {
      this.#run(container.init.paths.runtimeLog, [command, id], (error) => {
        container.pause = undefined;
        done(error, null);
      });
    };
    if (command === "pause") container.pause = run;
    if (command === "resume" || container.launching === 0) run();
  }

  state(): {
    readonly running: readonly { readonly id: string; readonly pid: number }[];
    readonly exits: ExitRecord[];
    readonly execs: readonly KnownExec[];
  } {
    const all = [...this.#processes()];
    return {
      running: all
        .filter((process) => process.phase === "running" && process.meta.execId === undefined)
        .map((process) => ({ id: process.meta.id, pid: process.pid })),
      exits: all.flatMap((process) => (process.exit === undefined || isAcknowledged(process) ? [] : [process.exit])),
      execs: all.flatMap((process) => {
        const { id, execId, note } = process.meta;
        const ended = process.phase === "exited";
        if (execId === undefined || process.phase === "starting" || (ended && isAcknowledged(process))) return [];
        return [{ id, execId, pid: ended ? 0 : process.pid, ...(note === undefined ? {} : { note }) }];
      }),
    };
  }

  /** The pid namespaces of containers that have ended all but for what still lies in them. */
  endingNamespaces(): Set<string> {
    const ending = [...this.#processes()].filter((each) => each.phase === "running" && each.isEnding);
    return new Set(ending.map(({ pid }) => pidNamespaceOf(pid)));
  }

  /** Takes note of all ends that have happened. */
  noteEnds(): void {
    for (const process of [...this.#processes()]) process.noteEnd();
  }

  acknowledge(id: string, execId?: string): void {
    const process = this.#process(id, execId);
    if (process === undefined) return;
    if (execId === undefined) {
      writeFileSync(process.paths.acknowledged, "");
    } else {
      process.stdio.close();
      this.#containers.get(id)?.execs.delete(execId);
      rmSync(process.paths.directory, { recursive: true, force: true });
    }
  }

  /** Ends what still runs, then removes all traces. Again does nothing. */
  delete(id: string, done: Done<null>): void {
    const container = this.#containers.get(id);
    if (container === undefined) {
      this.#remove(id, undefined, done);
      return;
    }
    container.init.end();
    container.init.whenExited(() => this.#remove(id, container, done));
  }

  /** Finds what a predecessor left, and goes on where it stopped. */
  recover(kept: readonly { readonly label: string; readonly fds: readonly number[] }[]): void {
    const descriptors = new Map(kept.map((entry) => [entry.label.split(" ")[0] ?? "", entry]));
    for (const id of list(this.#paths.containers)) {
      const bundle = readLink(this.#paths.container(id));
      // A bundle without its configuration is one whose removal was interrupted.
      const whole = bundle !== undefined && existsSync(`${bundle}/config.json`);
      const init = !whole ? undefined : this.#recoverProcess(bundle, undefined, descriptors);
      if (bundle === undefined || init === undefined) {
        this.#unlink(id);
        continue;
      }
      const container: Contained = {
        bundle,
        cgroup: cgroupOf(bundle),
        init,
        execs: new Map(),
        launching: 0,
        pause: undefined,
      };
      this.#containers.set(id, container);
      for (const execId of list(ProcessPaths.execs(bundle))) {
        const exec = this.#recoverProcess(bundle, execId, descriptors);
        if (exec !== undefined) container.execs.set(execId, exec);
      }
    }
    for (const { fds } of descriptors.values()) for (const fd of fds) closeFd(fd);
  }

  #recoverProcess(
    bundle: string,
    execId: string | undefined,
    kept: Map<string, { readonly label: string; readonly fds: readonly number[] }>,
  ): SupervisedProcess | undefined {
    const paths = new ProcessPaths(bundle, execId);
    const meta = readJson<ProcessMeta>(paths.meta);
    if (meta === undefined) return undefined;
    const process = new SupervisedProcess(this.#context, meta, paths, new Stdio(this.#loop, this.#scratch, () => {}));
    const exit = readJson<ExitRecord>(paths.exit);
    if (exit !== undefined) {
      process.restoreExit(exit);
      return process;
    }
    const entry = kept.get(process.key);
    kept.delete(process.key);
    process.resume(entry === undefined ? reopen(meta, paths) : named(entry));
    return process;
  }

  #launch(
    process: SupervisedProcess,
    command: {
      readonly before: readonly string[];
      readonly after: readonly string[];
      /** Runs when the process' directory is there. */
      readonly setup: () => void;
    },
    done: Done<Started>,
  ): void {
    let descriptors: StdioDescriptors = {};
    const fail = (error: unknown): void => {
      process.failed(descriptors);
      done(error);
    };
    try {
      const { ours, theirs } = process.prepare();
      descriptors = ours;
      command.setup();
      const terminal = process.meta.terminal ? openConsoleSocket(this.#paths.console(this.#consoles++)) : undefined;
      const socket = terminal === undefined ? [] : ["--console-socket", terminal.path];
      startRuntime(this.#loop, this.#runc, {
        log: process.paths.runtimeLog,
        args: [...command.before, ...socket, ...command.after],
        stdio: theirs,
        onExit: (exitCode) => {
          try {
            if (exitCode !== 0) throw this.#runc.failure(process.paths.runtimeLog, command.before[0] ?? "");
            const master = terminal?.tryReceive();
            if (master !== undefined) descriptors = { terminal: master };
            process.started(descriptors);
            done(undefined, { pid: process.pid });
          } catch (error) {
            fail(error);
          } finally {
            terminal?.close();
          }
        },
      });
      for (const fd of theirs) closeFd(fd);
    } catch (error) {
      fail(error);
    }
  }

  /** The stdio that clients already wait at, or a new one. */
  #stdioFor(key: string): Stdio {
    const stdio = this.#expected.get(key) ?? new Stdio(this.#loop, this.#scratch, () => {});
    this.#expected.delete(key);
    return stdio;
  }

  #remove(id: string, container: Contained | undefined, done: Done<null>): void {
    if (container !== undefined) {
      container.init.stdio.close();
      for (const exec of container.execs.values()) exec.stdio.close();
    }
    // What `runc delete` would do, without starting it: its state is a directory, and the cgroups are empty by now.
    const hasState = existsSync(`${this.#paths.runtime}/${id}/state.json`);
    const finish = (error: unknown): void => {
      if (container !== undefined) {
        rmSync(container.init.paths.directory, { recursive: true, force: true });
        rmSync(ProcessPaths.execs(container.bundle), { recursive: true, force: true });
      }
      this.#forget(id);
      done(error, null);
    };
    if (hasState && container?.init.phase === "exited" && container.cgroup.remove()) {
      rmSync(`${this.#paths.runtime}/${id}`, { recursive: true, force: true });
      finish(undefined);
    } else if (list(this.#paths.runtime).includes(id)) {
      this.#run(`${this.#paths.root}/delete.log`, ["delete", "--force", id], finish);
    } else {
      finish(undefined);
    }
  }

  #forget(id: string): void {
    this.#containers.delete(id);
    this.#unlink(id);
  }

  #run(log: string, args: readonly string[], done: Done<null>): void {
    rmSync(log, { force: true });
    startRuntime(this.#loop, this.#runc, {
      log,
      args,
      onExit: (exitCode) => done(exitCode === 0 ? undefined : this.#runc.failure(log, args[0] ?? ""), null),
    });
  }

  #link(id: string, bundle: string): void {
    mkdirSync(this.#paths.containers, { recursive: true });
    this.#unlink(id);
    symlinkSync(bundle, this.#paths.container(id));
  }

  #unlink(id: string): void {
    rmSync(this.#paths.container(id), { force: true });
  }

  #oomKilled(process: SupervisedProcess): boolean {
    return (this.#containers.get(process.meta.id)?.cgroup.oomKills() ?? 0) > 0;
  }

  #container(id: string): Contained {
    const container = this.#containers.get(id);
    if (container === undefined) throw notRunning(id);
    return container;
  }

  #process(id: string, execId?: string): SupervisedProcess | undefined {
    const container = this.#containers.get(id);
    return execId === undefined ? container?.init : container?.execs.get(execId);
  }

  *#processes(): Iterable<SupervisedProcess> {
    for (const { init, execs } of this.#containers.values()) {
      yield init;
      yield* execs.values();
    }
  }
}

function notRunning(id: string): SlipwayError {
  return new SlipwayError("conflict", `Container ${id} is not running`);
}

function isPaused(id: string): SlipwayError {
  return new SlipwayError("conflict", `container ${id} is paused, unpause the container before exec`);
}

function isAcknowledged(process: SupervisedProcess): boolean {
  return list(dirname(process.paths.acknowledged)).includes("acknowledged");
}
