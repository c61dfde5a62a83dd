import { SlipwayError } from "@slipway/base";
import type { HostConfig } from "../faces.ts";

export type RestartPolicy =
  | { readonly name: "no" | "always" | "unless-stopped" }
  /**
   * `maximumRetries` 0 means: without end. `on-unhealthy` is ours: as `on-failure`, and a container whose health check
   * has failed is ended and started again.
   */
  | { readonly name: "on-failure" | "on-unhealthy"; readonly maximumRetries: number };

const FIRST_DELAY = 100;
const LONGEST_DELAY = 60_000;
/** A run of this length was a success: the next delay is the shortest again. */
const SUCCESSFUL_RUN = 10_000;

/** Throws `invalid` as Docker words it. */
export function readRestartPolicy(given: HostConfig["RestartPolicy"]): RestartPolicy {
  const name = given?.Name ?? "";
  const retries = given?.MaximumRetryCount ?? 0;
  if (!Number.isInteger(retries) || retries < 0) {
    throw new SlipwayError("invalid", "invalid restart policy: maximum retry count cannot be negative");
  }
  switch (name) {
    case "":
    case "no":
    case "always":
    case "unless-stopped":
      if (retries > 0) {
        throw new SlipwayError(
          "invalid",
          "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        );
      }
      return { name: name === "" ? "no" : name };
    case "on-failure":
    case "on-unhealthy":
      return { name, maximumRetries: retries };
    default:
      throw new SlipwayError(
        "invalid",
        `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
      );
  }
}

export interface EndedRun {
  readonly exitCode: number;
  /** Somebody asked for its end. */
  readonly manuallyStopped: boolean;
  readonly restartCount: number;
  /** It was ended because its health check failed. */
  readonly unhealthy?: boolean;
}

/** Whether the policy starts the container again after a run while the engine watches. */
export function restartsAfter(policy: RestartPolicy, run: EndedRun): boolean {
  if (run.manuallyStopped) return false;
  switch (policy.name) {
    case "no":
      return false;
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return run.exitCode !== 0 && hasRetries(policy.maximumRetries, run);
    case "on-unhealthy":
      return (run.exitCode !== 0 || run.unhealthy === true) && hasRetries(policy.maximumRetries, run);
  }
}

function hasRetries(most: number, run: EndedRun): boolean {
  return most === 0 || run.restartCount < most;
}

/** Whether a container that has become unhealthy is to be ended, for the policy to start it again. */
export function endsUnhealthy(policy: RestartPolicy, run: Omit<EndedRun, "exitCode" | "unhealthy">): boolean {
  return policy.name === "on-unhealthy" && restartsAfter(policy, { ...run, exitCode: 0, unhealthy: true });
}

/** Whether the engine's own start begins the container: `always` forgets that it was stopped by hand. */
export function startsWithEngine(policy: RestartPolicy, run: EndedRun): boolean {
  return policy.name === "always" || restartsAfter(policy, run);
}

/** Milliseconds until the next start: 100 ms, doubled for each run that was short, a minute at most. */
export function restartDelay(previous: number | undefined, runDuration: number): number {
  if (previous === undefined || runDuration >= SUCCESSFUL_RUN) return FIRST_DELAY;
  return Math.min(previous * 2, LONGEST_DELAY);
}
