import { randomId, SlipwayError, shortId } from "@slipway/base";
import type { ExitRecord, KnownExec, StdioSession } from "@slipway/runtime";
import type { ExecConfig, ExecState } from "../faces.ts";
import { linkedNow } from "../networks/default-links.ts";
import { mergeEnv, processEnv } from "../settings/config-merge.ts";
import { userInRoot } from "../settings/container-spec.ts";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import type { ContainerEntry } from "./container-index.ts";
import { isAlive } from "./container-life.ts";
import { reasonOf } from "./ended-meanwhile.ts";

/** Milliseconds for which an exec that has ended can still be asked about. */
const KEPT = 5 * 60_000;
/** Execs of one container that have not been started: whoever makes more has forgotten them. */
const MOST_WAITING = 1000;

type Phase =
  | { readonly kind: "created" }
  | { readonly kind: "starting" }
  | { readonly kind: "running"; readonly pid: number }
  | { readonly kind: "ended"; readonly pid: number; readonly exitCode: number };

interface Exec {
  readonly id: string;
  readonly entry: ContainerEntry;
  readonly config: ExecConfig;
  phase: Phase;
  /** Set while it starts; an exit that arrives meanwhile waits for it. */
  starting: Promise<void> | undefined;
  readonly ended: PromiseWithResolvers<void>;
}

/** Bytes that are kept of the output of a health check. */
const KEPT_OUTPUT = 4096;
const SIGKILL = 9;

/**
 * Further processes in running containers. The supervisor keeps what is needed to know them again: those that run, and
 * those that ended while no engine was there. An exec that was never started goes with the engine.
 */
export class ExecService {
  readonly #context: ContainerContext;
  readonly #execs = new Map<string, Exec>();
  readonly #ends = new Map<string, (exitCode: number) => void>();

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  /** After the engine's start: the execs of containers that ran on, and the ends that nobody saw. */
  restore(known: readonly KnownExec[], exits: readonly ExitRecord[]): void {
    const ends = new Map(exits.flatMap((exit) => (exit.execId === undefined ? [] : [[exit.execId, exit]])));
    for (const { id, execId, pid, note } of known) {
      const entry = this.#context.index.get(id);
      if (entry === undefined || note === undefined) continue;
      const exec: Exec = {
        id: execId,
        entry,
        config: JSON.parse(note) as ExecConfig,
        phase: { kind: "running", pid },
        starting: undefined,
        ended: Promise.withResolvers(),
      };
      this.#execs.set(execId, exec);
      entry.execIds.add(execId);
      const end = ends.get(execId);
      if (end !== undefined) this.#end(exec, end.exitCode);
      else if (!isAlive(entry.state.status)) this.#end(exec, 128 + SIGKILL);
    }
  }

  /** Throws `conflict` when the container is not running, or paused. */
  async create(nameOrId: string, config: ExecConfig): Promise<string> {
    const entry = this.#context.index.resolve(nameOrId);
    assertUsable(entry);
    checkExec(config);
    if (entry.execIds.size >= MOST_WAITING) {
      throw new SlipwayError("exhausted", `container ${entry.id} has ${entry.execIds.size} execs already`);
    }
    const exec: Exec = {
      id: randomId(),
      entry,
      config,
      phase: { kind: "created" },
      starting: undefined,
      ended: Promise.withResolvers(),
    };
    this.#execs.set(exec.id, exec);
    entry.execIds.add(exec.id);
    this.#announce(exec, `exec_create: ${commandLine(config)}`);
    return exec.id;
  }

  async inspect(execId: string): Promise<ExecState> {
    const exec = this.#find(execId);
    const { phase } = exec;
    return {
      id: exec.id,
      containerId: exec.entry.id,
      running: phase.kind === "running",
      pid: phase.kind === "running" || phase.kind === "ended" ? phase.pid : 0,
      ...(phase.kind === "ended" ? { exitCode: phase.exitCode } : {}),
      config: exec.config,
    };
  }

  /** Starts it; with `detach` there is no session. Throws `conflict` when it was started before. */
  async start(
    execId: string,
    options: { readonly detach: boolean; readonly consoleSize?: { readonly rows: number; readonly columns: number } },
  ): Promise<StdioSession | undefined> {
    const exec = this.#find(execId);
    if (exec.phase.kind === "ended") {
      throw new SlipwayError("conflict", `Error: Exec command ${exec.id} has already run`);
    }
    if (exec.phase.kind !== "created") {
      throw new SlipwayError("conflict", `Error: Exec command ${exec.id} is already running`);
    }
    assertUsable(exec.entry);
    exec.phase = { kind: "starting" };
    const started = Promise.withResolvers<void>();
    exec.starting = started.promise;
    try {
      return await this.#launch(exec, options);
    } finally {
      exec.starting = undefined;
      started.resolve();
    }
  }

  async resize(execId: string, size: { readonly rows: number; readonly columns: number }): Promise<void> {
    const exec = this.#find(execId);
    await exec.starting;
    if (exec.phase.kind !== "running") {
      throw new SlipwayError("conflict", `cannot resize a process that is not running: exec ${shortId(exec.id)}`);
    }
    await this.#context.supervisor.resize(exec.entry.id, size, exec.id);
  }

  /** Runs a command of the engine's own to its end; the signal kills it. The output is text, cut at 4 KiB. */
  async run(
    entry: ContainerEntry,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly exitCode: number; readonly output: string }> {
    const id = await this.create(entry.id, { Cmd: command, AttachStdout: true, AttachStderr: true });
    const ended = new Promise<number>((resolve) => this.#ends.set(id, resolve));
    const kill = (): void => {
      this.#context.supervisor.signal(entry.id, SIGKILL, { execId: id }).catch(() => {});
    };
    try {
      const session = await this.start(id, { detach: false });
      if (signal.aborted) kill();
      signal.addEventListener("abort", kill, { once: true });
      const parts: Uint8Array[] = [];
      let kept = 0;
      for await (const { data } of session?.output ?? []) {
        if (kept < KEPT_OUTPUT) parts.push(data);
        kept += data.length;
      }
      const output = new TextDecoder().decode(Buffer.concat(parts).subarray(0, KEPT_OUTPUT));
      return { exitCode: await ended, output };
    } finally {
      signal.removeEventListener("abort", kill);
      this.#ends.delete(id);
      this.#execs.delete(id);
      // Of one that could not be started: nothing else tells of its end.
      entry.execIds.delete(id);
    }
  }

  /** Called for each exit of an exec. */
  async handleExit(exit: ExitRecord): Promise<void> {
    const exec = this.#execs.get(exit.execId ?? "");
    if (exec === undefined) return;
    await exec.starting;
    this.#end(exec, exit.exitCode);
  }

  /** All execs of a container have ended with it, by KILL if not before. */
  handleContainerExit(containerId: string): void {
    for (const exec of this.#execs.values()) {
      if (exec.entry.id !== containerId) continue;
      if (exec.phase.kind === "created") this.#execs.delete(exec.id);
      else this.#end(exec, 128 + SIGKILL);
    }
  }

  async #launch(
    exec: Exec,
    options: { readonly detach: boolean; readonly consoleSize?: { readonly rows: number; readonly columns: number } },
  ): Promise<StdioSession | undefined> {
    const { supervisor } = this.#context;
    const { config, entry } = exec;
    let session: StdioSession | undefined;
    try {
      const request = this.#request(exec, options.consoleSize);
      // Joined before it runs: nothing of its output is missed.
      session = options.detach
        ? undefined
        : await supervisor.attach(entry.id, { execId: exec.id, stdin: config.AttachStdin === true });
      const { pid } = await supervisor.exec(request);
      exec.phase = { kind: "running", pid };
      this.#announce(exec, `exec_start: ${commandLine(config)}`);
      return session && endingWithExit(session, exec.ended.promise);
    } catch (error) {
      session?.detach();
      const code = error instanceof SlipwayError ? error.details.exitCode : undefined;
      this.#end(exec, typeof code === "number" ? code : 126);
      // What the command lacks is the command's fault, also of a container that has ended meanwhile.
      throw code === 126 || code === 127 ? error : reasonOf(entry, error);
    }
  }

  #request(exec: Exec, size: { readonly rows: number; readonly columns: number } | undefined) {
    const { config, entry } = exec;
    const own = entry.definition.config;
    const rootPath = `/proc/${entry.state.pid}/root`;
    const user = userInRoot(rootPath, config.User || (own.User ?? ""), entry.definition.hostConfig.GroupAdd ?? []);
    const env = processEnv({ ...own, Tty: config.Tty === true }, own.Hostname ?? "");
    const merged = setVariables(mergeEnv(config.Env ?? [], mergeEnv(env, linkedNow(this.#context, entry))));
    const console = size ?? sizeOf(config.ConsoleSize);
    return {
      containerId: entry.id,
      execId: exec.id,
      args: config.Cmd,
      env: merged.some((each) => each.startsWith("HOME=")) ? merged : [...merged, `HOME=${user.home}`],
      cwd: config.WorkingDir || own.WorkingDir || "/",
      user,
      terminal: config.Tty === true,
      openStdin: config.AttachStdin === true,
      privileged: config.Privileged === true || entry.definition.hostConfig.Privileged === true,
      note: JSON.stringify(config),
      ...(console === undefined ? {} : { consoleSize: console }),
    };
  }

  #end(exec: Exec, exitCode: number): void {
    if (exec.phase.kind === "ended") return;
    const pid = exec.phase.kind === "running" ? exec.phase.pid : 0;
    exec.phase = { kind: "ended", pid, exitCode };
    exec.entry.execIds.delete(exec.id);
    exec.ended.resolve();
    this.#announce(exec, "exec_die", { exitCode: String(exitCode) });
    this.#ends.get(exec.id)?.(exitCode);
    setTimeout(() => this.#execs.delete(exec.id), KEPT).unref();
  }

  #announce(exec: Exec, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    publishContainerEvent(this.#context, exec.entry, action, { execID: exec.id, ...attributes });
  }

  #find(execId: string): Exec {
    const exact = this.#execs.get(execId);
    if (exact !== undefined) return exact;
    const found = execId.length < 4 ? [] : [...this.#execs.values()].filter(({ id }) => id.startsWith(execId));
    const [exec] = found;
    if (exec !== undefined && found.length === 1) return exec;
    throw new SlipwayError("not-found", `No such exec instance: ${execId}`);
  }
}

function assertUsable(entry: ContainerEntry): void {
  if (!isAlive(entry.state.status)) {
    const what =
      entry.state.status === "restarting" ? "is restarting, wait until the container is running" : "is not running";
    throw new SlipwayError("conflict", `container ${entry.id} ${what}`);
  }
  if (entry.state.status === "paused") {
    throw new SlipwayError("conflict", `container ${entry.id} is paused, unpause the container before exec`);
  }
}

/**
 * Clients ask for the exit code as soon as the output ends, and the exit may arrive after the last output: so the output
 * ends only when the exit is known. Whoever detaches does not wait for that.
 */
function endingWithExit(session: StdioSession, exited: Promise<void>): StdioSession {
  const left = Promise.withResolvers<void>();
  async function* output() {
    yield* session.output;
    await Promise.race([exited, left.promise]);
  }
  return {
    output: output(),
    write: (data) => session.write(data),
    closeStdin: () => session.closeStdin(),
    detach: () => {
      left.resolve();
      session.detach();
    },
  };
}

function commandLine(config: ExecConfig): string {
  return config.Cmd.join(" ");
}

function sizeOf(size: ExecConfig["ConsoleSize"]): { rows: number; columns: number } | undefined {
  return size === undefined || size === null || size[0] <= 0 || size[1] <= 0
    ? undefined
    : { rows: size[0], columns: size[1] };
}

/** Throws `invalid` for what no process can be started with. */
function checkExec({ Cmd, Env = [], User = "", WorkingDir = "" }: ExecConfig): void {
  if (Cmd.length === 0) throw new SlipwayError("invalid", "No exec command specified");
  if ([...Cmd, ...Env, User, WorkingDir].some((text) => text.includes("\0"))) {
    throw new SlipwayError("invalid", "arguments and environment cannot contain NUL");
  }
  const nameless = Env.find((entry) => entry === "" || entry.startsWith("="));
  if (nameless !== undefined) throw new SlipwayError("invalid", `invalid environment variable: ${nameless}`);
  if (WorkingDir !== "" && !WorkingDir.startsWith("/")) {
    throw new SlipwayError(
      "invalid",
      `the working directory '${WorkingDir.slice(0, 200)}' is invalid, it needs to be an absolute path`,
    );
  }
}

/** A bare name without `=` takes the container's variable away. */
function setVariables(env: readonly string[]): string[] {
  return env.filter((entry) => entry.includes("="));
}
