import { SlipwayError } from "@slipway/base";
import type { ExecRequest, ExitRecord, StartRequest, StdioSession, Supervisor } from "@slipway/runtime";

type Listener = (exit: ExitRecord) => void | Promise<void>;

/**
 * A supervisor whose processes do what a test says: nothing runs, so that every order of events can be had without
 * waiting. Every "process" has the number of the test's own.
 */
export class ScriptedSupervisor implements Supervisor {
  readonly running = new Set<string>();
  readonly exits: ExitRecord[] = [];
  readonly signals: string[] = [];
  readonly requests: StartRequest[] = [];
  readonly execs: ExecRequest[] = [];
  readonly deleted: string[] = [];
  /** Signals that end a container. */
  deadly: readonly number[] = [9, 15];
  /** The next start fails so. */
  failure: SlipwayError | undefined;
  /** Called by each start before it answers. */
  onStart: (id: string) => void = () => {};
  #listener: Listener | undefined;

  async start(request: StartRequest): Promise<{ readonly pid: number }> {
    this.requests.push(request);
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    this.running.add(request.id);
    this.onStart(request.id);
    return { pid: process.pid };
  }

  /** The container ends by itself. Resolves when the engine has taken note. */
  async exit(id: string, exitCode: number, options: { readonly oomKilled?: boolean } = {}): Promise<void> {
    this.running.delete(id);
    await this.#tell({ id, exitCode, oomKilled: options.oomKilled ?? false, finishedAt: Date.now() });
  }

  async exitExec(id: string, execId: string, exitCode: number): Promise<void> {
    await this.#tell({ id, execId, exitCode, oomKilled: false, finishedAt: Date.now() });
  }

  async #tell(exit: ExitRecord): Promise<void> {
    this.exits.push(exit);
    if (this.#listener !== undefined) await this.#deliver(this.#listener, exit);
  }

  /** Acknowledged when the listener returns. */
  async #deliver(listener: Listener, exit: ExitRecord): Promise<void> {
    await listener(exit);
    this.exits.splice(this.exits.indexOf(exit), 1);
  }

  async exec(request: ExecRequest): Promise<{ readonly pid: number }> {
    this.execs.push(request);
    return { pid: process.pid };
  }

  async attach(): Promise<StdioSession> {
    return {
      output: (async function* () {})(),
      write: async () => {},
      closeStdin: () => {},
      detach: () => {},
    };
  }

  async signal(id: string, signal: number): Promise<void> {
    if (!this.running.has(id)) throw new SlipwayError("not-found", `no process of ${id}`);
    this.signals.push(`${signal}`);
    if (this.deadly.includes(signal)) void this.exit(id, 128 + signal);
  }

  async resize(): Promise<void> {}
  async pause(): Promise<void> {}
  async resume(): Promise<void> {}

  async state() {
    return { running: [...this.running].map((id) => ({ id, pid: process.pid })), exits: [...this.exits] };
  }

  onExit(listener: Listener): void {
    this.#listener = listener;
    // Not acknowledged before: told again.
    for (const exit of [...this.exits]) void this.#deliver(listener, exit);
  }

  async delete(id: string): Promise<void> {
    this.deleted.push(id);
    this.running.delete(id);
  }

  /** Who listened is gone; what runs goes on. */
  async close(): Promise<void> {
    this.#listener = undefined;
  }
}
