import { closeSync, existsSync, mkdirSync, openSync, readdirSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import type { ExecRequest, ExitRecord, StartRequest, StdioSession, Supervisor } from "./faces.ts";
import { findRuntime } from "./runc.ts";
import { ControlConnection, type SupervisorClosed } from "./supervisor/control-connection.ts";
import { type AttachTarget, openStdioSession } from "./supervisor/stdio-session.ts";
import { SupervisorPaths } from "./supervisor/supervisor-paths.ts";

export interface SupervisorClientOptions {
  /** Absolute; short, because sockets below it must have paths of at most 107 bytes. */
  readonly execRoot: string;
  /** Starts a supervisor; the exec root is added: `[process.execPath, "supervisor"]`. */
  readonly command: readonly string[];
  /** Called when something fails that no caller waits for. */
  readonly onError?: (error: unknown) => void;
}

/** What may be asked again when nobody knows whether it was done. */
const REPEATABLE = new Set(["state", "acknowledge", "delete", "resize", "pause", "resume"]);
/** Milliseconds a new supervisor gets until it answers. */
const START_DEADLINE = 10_000;
/** Milliseconds after which one that has ended without a successor is started again; twice as many each further time. */
const FIRST_RESPAWN = 50;
/** Milliseconds between two looks for its socket. */
const START_STEP = 2;

/** The daemon's side. Nothing is started before the first container is; a supervisor that dies is started again. */
export function connectSupervisor(options: SupervisorClientOptions): SupervisorClient {
  return new SupervisorClient(options);
}

/** A `Supervisor` that can also be told that it will soon be needed. */
export class SupervisorClient implements Supervisor {
  readonly #options: SupervisorClientOptions;
  readonly #paths: SupervisorPaths;
  readonly #listeners = new Set<(exit: ExitRecord) => void | Promise<void>>();
  readonly #delivering = new Set<string>();
  #control: Promise<ControlConnection> | undefined;
  #closed = false;

  constructor(options: SupervisorClientOptions) {
    this.#options = options;
    this.#paths = new SupervisorPaths(options.execRoot);
  }

  /** Starts the supervisor if it is not there, so that the first container need not wait for it. */
  async prepare(): Promise<void> {
    await this.#call("state", {});
  }

  start(request: StartRequest): Promise<{ readonly pid: number }> {
    return this.#call("start", request) as Promise<{ readonly pid: number }>;
  }

  exec(request: ExecRequest): Promise<{ readonly pid: number }> {
    return this.#call("exec", request) as Promise<{ readonly pid: number }>;
  }

  async attach(id: string, options: { readonly execId?: string; readonly stdin: boolean }): Promise<StdioSession> {
    const target: AttachTarget = { id, ...options };
    for (let attempt = 0; ; attempt++) {
      await this.#connection();
      try {
        return await openStdioSession(this.#paths.socket, target);
      } catch (error) {
        if (attempt >= 2) throw error;
        // It ended between the two connections: a question that is asked again until it is answered finds the next one.
        await this.prepare();
      }
    }
  }

  async signal(
    id: string,
    signal: number,
    options: { readonly execId?: string; readonly all?: boolean } = {},
  ): Promise<void> {
    await this.#call("signal", { id, signal, ...options });
  }

  async resize(id: string, size: { readonly rows: number; readonly columns: number }, execId?: string): Promise<void> {
    await this.#call("resize", { id, size, ...(execId === undefined ? {} : { execId }) });
  }

  async pause(id: string): Promise<void> {
    await this.#call("pause", { id });
  }

  async resume(id: string): Promise<void> {
    await this.#call("resume", { id });
  }

  async state(): Promise<Awaited<ReturnType<Supervisor["state"]>>> {
    // A fresh daemon on a quiet machine needs no supervisor to know that nothing runs.
    if (this.#control === undefined && this.#knownContainers().length === 0) return { running: [], exits: [] };
    return (await this.#call("state", {})) as Awaited<ReturnType<Supervisor["state"]>>;
  }

  onExit(listener: (exit: ExitRecord) => void | Promise<void>): void {
    this.#listeners.add(listener);
    // Exits that happened while no daemon was there are announced to each new connection.
    if (this.#control === undefined && this.#knownContainers().length > 0) this.#connectAgain();
  }

  async delete(id: string): Promise<void> {
    if (this.#control === undefined && !this.#knownContainers().includes(id)) return;
    await this.#call("delete", { id });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const control = await this.#control?.catch(() => undefined);
    control?.close();
  }

  /** Sends a request, again to a successor if the supervisor ended before it had taken note of it. */
  async #call(method: string, params: unknown): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      const control = await this.#connection();
      const outcome = await control.call(method, params);
      if (outcome.kind === "answer") return outcome.result;
      if ((outcome.kind === "lost" && !REPEATABLE.has(method)) || attempt >= 4) {
        throw new SlipwayError("unavailable", `the supervisor ended during ${method}`, {
          hint: `Its messages are in ${this.#paths.messages}.`,
        });
      }
    }
  }

  #connection(): Promise<ControlConnection> {
    if (this.#closed) return Promise.reject(new SlipwayError("unavailable", "the supervisor's client is closed"));
    if (this.#control !== undefined) return this.#control;
    const connecting = this.#connect();
    this.#control = connecting;
    connecting.catch(() => {
      if (this.#control === connecting) this.#control = undefined;
    });
    return connecting;
  }

  async #connect(): Promise<ControlConnection> {
    const handlers = {
      onExit: (exit: ExitRecord) => void this.#deliver(exit),
      onClosed: (closed: SupervisorClosed) => this.#lost(closed),
    };
    const existing = await ControlConnection.open(this.#paths.socket, handlers);
    if (existing !== undefined) return existing;
    let child = this.#spawn();
    let pause = FIRST_RESPAWN;
    let respawn = performance.now() + pause;
    const deadline = performance.now() + START_DEADLINE;
    while (performance.now() < deadline) {
      await Bun.sleep(START_STEP);
      if (existsSync(this.#paths.socket)) {
        const control = await ControlConnection.open(this.#paths.socket, handlers);
        if (control !== undefined) return control;
      }
      // It gives way to one that holds the lock; if that one was about to end, as idle ones do, nobody would come any more.
      const gaveWay = child.exitCode !== null || child.signalCode !== null;
      if (!gaveWay || performance.now() < respawn) continue;
      child = this.#spawn();
      pause *= 2;
      respawn = performance.now() + pause;
    }
    throw new SlipwayError("unavailable", `the supervisor did not answer within ${START_DEADLINE / 1000} s`, {
      hint: `Its messages are in ${this.#paths.messages}.`,
    });
  }

  #spawn(): Bun.Subprocess {
    // A supervisor without a runtime ends at once, and its reason would only be found in its messages.
    findRuntime();
    mkdirSync(this.#paths.root, { recursive: true, mode: 0o700 });
    const messages = openSync(this.#paths.messages, "a", 0o600);
    try {
      const child = Bun.spawn({
        cmd: [...this.#options.command, this.#options.execRoot],
        stdio: ["ignore", "ignore", messages],
        cwd: "/",
      });
      child.unref();
      return child;
    } finally {
      closeSync(messages);
    }
  }

  #lost(closed: SupervisorClosed): void {
    this.#control = undefined;
    // It ends by itself when nothing runs. Otherwise it was killed, and its containers need another one now.
    if (closed.orderly || this.#closed || this.#knownContainers().length === 0) return;
    this.#connectAgain();
  }

  #connectAgain(): void {
    this.#connection().catch((error: unknown) => this.#options.onError?.(error));
  }

  async #deliver(exit: ExitRecord): Promise<void> {
    const key = `${exit.id}/${exit.execId ?? ""}`;
    // A new connection announces again what is still being dealt with.
    if (this.#listeners.size === 0 || this.#delivering.has(key)) return;
    this.#delivering.add(key);
    try {
      for (const listener of this.#listeners) await listener(exit);
      const { id, execId } = exit;
      await this.#call("acknowledge", { id, ...(execId === undefined ? {} : { execId }) });
    } catch (error) {
      this.#options.onError?.(error);
    } finally {
      this.#delivering.delete(key);
    }
  }

  #knownContainers(): string[] {
    try {
      return readdirSync(this.#paths.containers);
    } catch {
      return [];
    }
  }
}
