import { errorCode, errorMessage } from "@slipway/base";
import type { BuildEvent, MissReason, VertexState } from "./faces.ts";
import type { Flights, Report } from "./flights.ts";
import { reachable, type Vertex } from "./graph.ts";

/** A vertex whose inputs are known: what identifies the work, what it made before, and how to do it. */
export interface Work<R> {
  /** Work with the same key gives the same result, in any build. Undefined: there is nothing to do but `found`. */
  readonly key?: string;
  /** The result from the cache. */
  readonly found?: R;
  /** Why there is none. */
  readonly reasons?: () => readonly MissReason[];
  readonly run?: (signal: AbortSignal, report: Report) => Promise<R>;
  /** Called in each build that waited for `run`, when it has succeeded. */
  readonly done?: () => void;
}

/** How vertices become results. */
export interface Operators<R> {
  /** Called for every vertex at once, before its inputs are there: for work that needs none or only some of them. */
  begin?(vertex: Vertex, inputs: readonly Promise<R>[], signal: AbortSignal): void;
  prepare(vertex: Vertex, inputs: readonly R[], signal: AbortSignal): Promise<Work<R>>;
  /** A failure as people see it: with the place of the vertex. */
  failure?(vertex: Vertex, error: unknown): unknown;
  /** Vertices that people need not see. */
  hidden(vertex: Vertex): boolean;
}

export interface SolveOptions<R> {
  readonly operators: Operators<R>;
  readonly flights: Flights<R>;
  readonly onEvent: (event: BuildEvent) => void;
  readonly signal?: AbortSignal;
}

/**
 * Makes what a graph's root needs. Vertices whose inputs are there run at once; what is in the cache does not run. The
 * first failure cancels the rest, and nothing runs any more when this returns or throws.
 */
export async function solve<R>(
  root: Vertex,
  options: SolveOptions<R>,
): Promise<{ readonly root: R; readonly results: ReadonlyMap<string, R> }> {
  const controller = new AbortController();
  const cancel = () => controller.abort(options.signal?.reason);
  if (options.signal?.aborted) cancel();
  options.signal?.addEventListener("abort", cancel, { once: true });
  const run = new Solving(options, controller);
  try {
    return await run.solve(root);
  } finally {
    options.signal?.removeEventListener("abort", cancel);
  }
}

class Solving<R> {
  readonly #options: SolveOptions<R>;
  readonly #controller: AbortController;
  readonly #pending = new Map<string, Promise<R>>();
  readonly #results = new Map<string, R>();

  constructor(options: SolveOptions<R>, controller: AbortController) {
    this.#options = options;
    this.#controller = controller;
  }

  async solve(root: Vertex): Promise<{ readonly root: R; readonly results: ReadonlyMap<string, R> }> {
    const vertices = reachable([root]);
    for (const vertex of vertices) this.#say(vertex, "waiting");
    for (const vertex of vertices) this.#start(vertex);
    const outcomes = await Promise.allSettled(this.#pending.values());
    const failure = outcomes.find((one) => one.status === "rejected" && !this.#isEcho(one.reason));
    const first = failure ?? outcomes.find((one) => one.status === "rejected");
    if (first?.status === "rejected") throw first.reason;
    return { root: this.#results.get(root.id) as R, results: this.#results };
  }

  /** A failure that only repeats why the others were cancelled. */
  #isEcho(reason: unknown): boolean {
    return (
      this.#controller.signal.aborted && reason !== this.#controller.signal.reason && errorCode(reason) === "cancelled"
    );
  }

  #start(vertex: Vertex): void {
    const inputs = vertex.inputs.map((input) => this.#pending.get(input.id) as Promise<R>);
    this.#options.operators.begin?.(vertex, inputs, this.#controller.signal);
    const result = this.#solveVertex(vertex, inputs);
    result.catch((error) => this.#controller.abort(error));
    this.#pending.set(vertex.id, result);
  }

  async #solveVertex(vertex: Vertex, inputs: readonly Promise<R>[]): Promise<R> {
    const { signal } = this.#controller;
    const { operators } = this.#options;
    let startedAt: number | undefined;
    const ready = await Promise.all(inputs).catch((error) => {
      this.#say(vertex, "cancelled");
      throw error;
    });
    try {
      signal.throwIfAborted();
      const preparedAt = performance.timeOrigin + performance.now();
      const work = await operators.prepare(vertex, ready, signal);
      if (work.found !== undefined) {
        this.#results.set(vertex.id, work.found);
        this.#say(vertex, "cached", { startedAt: preparedAt, completedAt: performance.timeOrigin + performance.now() });
        return work.found;
      }
      startedAt = preparedAt;
      const reasons = work.reasons?.() ?? [];
      this.#say(vertex, "running", { startedAt, ...(reasons.length > 0 && { reasons }) });
      const result = await this.#run(vertex, work);
      work.done?.();
      this.#results.set(vertex.id, result);
      const completedAt = performance.timeOrigin + performance.now();
      this.#say(vertex, "done", { startedAt, completedAt, ...(reasons.length > 0 && { reasons }) });
      return result;
    } catch (cause) {
      const error = operators.failure?.(vertex, cause) ?? cause;
      this.#sayFailure(vertex, error, startedAt);
      throw error;
    }
  }

  #run(vertex: Vertex, work: Work<R>): Promise<R> {
    const { signal } = this.#controller;
    const report: Report = (event) => this.#options.onEvent({ ...event, vertex: vertex.id } as BuildEvent);
    const run = work.run ?? (() => Promise.reject(new Error(`${vertex.about.name} has neither result nor work`)));
    return work.key === undefined ? run(signal, report) : this.#options.flights.join(work.key, run, { signal, report });
  }

  #sayFailure(vertex: Vertex, error: unknown, startedAt: number | undefined): void {
    // What never began because something else failed is not a failure of its own.
    const cancelled = this.#controller.signal.aborted || errorCode(error) === "cancelled";
    const times = {
      ...(startedAt !== undefined && { startedAt }),
      completedAt: performance.timeOrigin + performance.now(),
    };
    if (cancelled) this.#say(vertex, "cancelled", times);
    else this.#say(vertex, "failed", { ...times, error: errorMessage(error) });
  }

  #say(
    vertex: Vertex,
    state: VertexState,
    more: { startedAt?: number; completedAt?: number; error?: string; reasons?: readonly MissReason[] } = {},
  ): void {
    if (this.#options.operators.hidden(vertex)) return;
    const { name, stage, source } = vertex.about;
    this.#options.onEvent({
      type: "vertex",
      id: vertex.id,
      name,
      inputs: vertex.inputs.map(({ id }) => id),
      state,
      ...(stage !== undefined && { stage }),
      ...(source !== undefined && { source }),
      ...more,
    });
  }
}
