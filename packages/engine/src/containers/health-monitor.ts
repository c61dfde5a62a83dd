import { errorMessage, type Logger, shortId } from "@slipway/base";
import type { Healthcheck } from "@slipway/oci";
import type { ContainerConfig, HealthProbe, HealthState } from "../faces.ts";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import type { ContainerEntry } from "./container-index.ts";
import type { RunWatcher } from "./container-service.ts";
import { endUnhealthy } from "./container-stop.ts";
import type { ExecService } from "./exec-service.ts";
import { endsUnhealthy, readRestartPolicy } from "./restart-policy.ts";

/** Docker's defaults, in milliseconds. */
const DEFAULTS = { interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5_000, retries: 3 };
const KEPT_PROBES = 5;
const NANOSECONDS = 1e6;
/** Timers that are set further ahead fire at once; milliseconds. */
const FURTHEST = 2 ** 31 - 1;

export interface HealthPlan {
  readonly command: readonly string[];
  /** Milliseconds. */
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

/** How a container's health is looked after; undefined when it is not. */
export function healthPlan(config: Pick<ContainerConfig, "Healthcheck" | "Shell">): HealthPlan | undefined {
  const check = config.Healthcheck;
  const command = check === undefined ? undefined : probeCommand(check, config.Shell);
  if (check === undefined || command === undefined) return undefined;
  const time = (value: number | undefined, fallback: number): number => (value ? value / NANOSECONDS : fallback);
  const timer = (value: number | undefined, fallback: number): number => Math.min(time(value, fallback), FURTHEST);
  return {
    command,
    interval: timer(check.Interval, DEFAULTS.interval),
    timeout: timer(check.Timeout, DEFAULTS.timeout),
    startPeriod: time(check.StartPeriod, DEFAULTS.startPeriod),
    startInterval: timer(check.StartInterval, DEFAULTS.startInterval),
    retries: check.Retries || DEFAULTS.retries,
  };
}

function probeCommand(check: Healthcheck, shell: readonly string[] | undefined): readonly string[] | undefined {
  const [kind, ...rest] = check.Test ?? [];
  if (kind === "CMD" && rest.length > 0) return rest;
  if (kind === "CMD-SHELL" && rest.length > 0) {
    return [...(shell !== undefined && shell.length > 0 ? shell : ["/bin/sh", "-c"]), ...rest];
  }
  return undefined;
}

/**
 * The health after a probe. Failures of the start period do not count until the first success. `age` is the time since
 * the container's start in milliseconds.
 */
export function nextHealth(health: HealthState, probe: HealthProbe, plan: HealthPlan, age: number): HealthState {
  const log = [...health.log, probe].slice(-KEPT_PROBES);
  if (probe.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  if (health.status === "starting" && age < plan.startPeriod) return { ...health, log };
  const failingStreak = health.failingStreak + 1;
  const status = failingStreak >= plan.retries ? "unhealthy" : health.status;
  return { status, failingStreak, log };
}

/** Runs the health checks of running containers. */
export class HealthMonitor implements RunWatcher {
  readonly #context: ContainerContext;
  readonly #execs: ExecService;
  readonly #log: Logger;
  readonly #watched = new Map<string, AbortController>();

  constructor(context: ContainerContext, execs: ExecService) {
    this.#context = context;
    this.#execs = execs;
    this.#log = context.log;
  }

  onRun(entry: ContainerEntry): void {
    const plan = healthPlan(entry.definition.config);
    if (plan === undefined) return;
    this.onEnd(entry);
    const stop = new AbortController();
    this.#watched.set(entry.id, stop);
    // After a restart of the engine what is known of a container that ran on still holds.
    if (entry.state.health === undefined) {
      this.#context.index.amend(entry, { state: { health: { status: "starting", failingStreak: 0, log: [] } } });
    }
    this.#schedule(entry, plan, stop.signal);
  }

  onEnd(entry: ContainerEntry): void {
    this.#watched.get(entry.id)?.abort();
    this.#watched.delete(entry.id);
  }

  #schedule(entry: ContainerEntry, plan: HealthPlan, stop: AbortSignal): void {
    if (stop.aborted) return;
    const starting = entry.state.health?.status === "starting" && this.#age(entry) < plan.startPeriod;
    const cancel = () => clearTimeout(timer);
    const round = () => {
      // One for each probe of a run of months would pile up.
      stop.removeEventListener("abort", cancel);
      void this.#round(entry, plan, stop);
    };
    const timer = setTimeout(round, starting ? plan.startInterval : plan.interval);
    stop.addEventListener("abort", cancel, { once: true });
  }

  async #round(entry: ContainerEntry, plan: HealthPlan, stop: AbortSignal): Promise<void> {
    try {
      if (entry.state.status === "running") {
        const probe = await this.#probe(entry, plan, stop);
        const before = entry.state.health;
        if (stop.aborted || before === undefined) return;
        const health = nextHealth(before, probe, plan, this.#age(entry));
        this.#context.index.amend(entry, { state: { health } });
        if (health.status !== before.status) {
          publishContainerEvent(this.#context, entry, `health_status: ${health.status}`);
        }
        if (health.status === "unhealthy" && this.#isEnded(entry)) return await endUnhealthy(this.#context, entry);
      }
    } catch (error) {
      const fields = { container: shortId(entry.id), error: errorMessage(error) };
      this.#log.warn("a health check could not be recorded", fields);
    }
    this.#schedule(entry, plan, stop);
  }

  /** By the policy `on-unhealthy`; the next run is watched anew. */
  #isEnded({ definition, state, manuallyStopped }: ContainerEntry): boolean {
    const policy = readRestartPolicy(definition.hostConfig.RestartPolicy);
    return endsUnhealthy(policy, { manuallyStopped, restartCount: state.restartCount });
  }

  async #probe(entry: ContainerEntry, plan: HealthPlan, stop: AbortSignal): Promise<HealthProbe> {
    const start = this.#context.now();
    const late = AbortSignal.timeout(plan.timeout);
    try {
      const signal = AbortSignal.any([stop, late]);
      const { exitCode, output } = await this.#execs.run(entry, plan.command, signal);
      if (!late.aborted) return { start, end: this.#context.now(), exitCode, output };
    } catch (error) {
      if (!late.aborted) return { start, end: this.#context.now(), exitCode: -1, output: errorMessage(error) };
    }
    const output = `Health check exceeded timeout (${plan.timeout / 1000}s)`;
    return { start, end: this.#context.now(), exitCode: -1, output };
  }

  #age(entry: ContainerEntry): number {
    return this.#context.now() - (entry.state.startedAt ?? 0);
  }
}
