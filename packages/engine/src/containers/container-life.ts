import { SlipwayError } from "@slipway/base";
import type { ContainerState, ContainerStatus } from "../faces.ts";

/**
 * The life of a container:
 *
 * ```
 *            started              exited
 *  created ──────────▶ running ──────────▶ exited ──▶ removing ──▶ (gone)
 *     │                 │    ▲  └───────▶ restarting      │ ▲
 *     │           paused│    │resumed  exited, again: true │ │ removal-requested
 *     │                 ▼    │               │ started     ▼ │
 *     └─▶ removing     paused ◀──────────────┘ ▶ running   dead
 * ```
 *
 * Times are milliseconds since the epoch.
 */
export type LifeEvent =
  /** The process runs. `fresh` when somebody asked for it, not the restart policy: the restart count begins anew. */
  | { readonly kind: "started"; readonly pid: number; readonly at: number; readonly fresh: boolean }
  | { readonly kind: "start-failed"; readonly exitCode: number; readonly error: string; readonly at: number }
  | { readonly kind: "paused" }
  | { readonly kind: "resumed" }
  /** `again` when the restart policy will start it once more. */
  | {
      readonly kind: "exited";
      readonly exitCode: number;
      readonly oomKilled: boolean;
      readonly at: number;
      readonly again: boolean;
    }
  /** Somebody stopped it while it waited for its next start. */
  | { readonly kind: "restart-cancelled" }
  | { readonly kind: "removal-requested" }
  | { readonly kind: "removal-failed"; readonly error: string };

export const INITIAL_STATE: ContainerState = {
  status: "created",
  pid: 0,
  exitCode: 0,
  error: "",
  oomKilled: false,
  restartCount: 0,
};

/**
 * The state after an event. Throws `not-modified` when the state is already what the event makes it, and `conflict`, with
 * what to do, when the event cannot happen in this state; `subject` names the container in the message.
 */
export function next(state: ContainerState, event: LifeEvent, subject = "container"): ContainerState {
  switch (event.kind) {
    case "started":
      return started(state, event, subject);
    case "start-failed":
      return startFailed(state, event, subject);
    case "paused":
      if (state.status === "paused") throw new SlipwayError("conflict", `${subject} is already paused`);
      if (state.status !== "running") throw notRunning(state.status, subject);
      return { ...state, status: "paused" };
    case "resumed":
      if (state.status !== "paused") throw new SlipwayError("conflict", `${subject} is not paused`);
      return { ...state, status: "running" };
    case "exited":
      return exited(state, event, subject);
    case "restart-cancelled":
      if (state.status !== "restarting") throw forbidden(state.status, "kept from restarting", subject);
      return { ...state, status: "exited" };
    case "removal-requested":
      return removalRequested(state, subject);
    case "removal-failed":
      if (state.status !== "removing") throw forbidden(state.status, "marked dead", subject);
      return { ...state, status: "dead", error: event.error };
  }
}

function started(state: ContainerState, event: LifeEvent & { kind: "started" }, subject: string): ContainerState {
  switch (state.status) {
    case "created":
    case "exited":
    case "restarting": {
      const { finishedAt, health: _, ...rest } = state;
      return {
        ...rest,
        status: "running",
        pid: event.pid,
        exitCode: 0,
        error: "",
        oomKilled: false,
        startedAt: event.at,
        // Docker keeps the end of the run before, so that a restart's gap can be read from inspect.
        ...(finishedAt !== undefined && { finishedAt }),
        restartCount: event.fresh ? 0 : state.restartCount + 1,
      };
    }
    case "running":
      throw new SlipwayError("not-modified", `${subject} is already running`);
    case "paused":
      throw new SlipwayError("conflict", "cannot start a paused container, try unpause instead");
    case "removing":
    case "dead":
      throw forbidden(state.status, "started", subject);
  }
}

/** A first start that fails leaves the container created, as Docker does; a later one leaves it exited. */
function startFailed(
  state: ContainerState,
  event: LifeEvent & { kind: "start-failed" },
  subject: string,
): ContainerState {
  const { exitCode, error, at } = event;
  switch (state.status) {
    case "created":
      return { ...state, exitCode, error };
    case "exited":
    case "restarting":
      return { ...state, status: "exited", exitCode, error, finishedAt: at };
    case "running":
    case "paused":
    case "removing":
    case "dead":
      throw forbidden(state.status, "started", subject);
  }
}

function exited(state: ContainerState, event: LifeEvent & { kind: "exited" }, subject: string): ContainerState {
  // A paused container's process can be killed too.
  if (state.status !== "running" && state.status !== "paused") throw forbidden(state.status, "ended", subject);
  return {
    ...state,
    status: event.again ? "restarting" : "exited",
    pid: 0,
    exitCode: event.exitCode,
    oomKilled: event.oomKilled,
    finishedAt: event.at,
  };
}

function removalRequested(state: ContainerState, subject: string): ContainerState {
  switch (state.status) {
    case "created":
    case "exited":
    case "dead":
      return { ...state, status: "removing" };
    case "removing":
      throw new SlipwayError("conflict", `removal of ${subject} is already in progress`);
    case "running":
    case "restarting":
      throw new SlipwayError(
        "conflict",
        `${subject} is ${state.status}: stop the container before removing or force remove`,
      );
    case "paused":
      throw new SlipwayError("conflict", `${subject} is paused and must be unpaused first`, {
        hint: "Unpause it, or remove it with force.",
      });
  }
}

function forbidden(status: ContainerStatus, what: string, subject: string): SlipwayError {
  if (status === "removing" || status === "dead") {
    return new SlipwayError("conflict", `${subject} is marked for removal and cannot be ${what}`);
  }
  return new SlipwayError("conflict", `${subject} is ${status} and cannot be ${what}`);
}

function notRunning(status: ContainerStatus, subject: string): SlipwayError {
  const why = status === "restarting" ? "is restarting, wait until it is running" : "is not running";
  return new SlipwayError("conflict", `${subject} ${why}`);
}

/** Whether a process of the container exists. */
export function isAlive(status: ContainerStatus): boolean {
  return status === "running" || status === "paused";
}
