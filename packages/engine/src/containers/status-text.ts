import { humanDuration } from "@slipway/base";
import type { ContainerState } from "../faces.ts";

/** A container's state as lists show it: `Up 3 minutes (healthy)`, `Exited (0) 2 hours ago`. `now` in milliseconds. */
export function statusText(state: ContainerState, now: number): string {
  const since = (time: number | undefined): string => humanDuration(Math.max(0, now - (time ?? now)));
  switch (state.status) {
    case "running":
      return `Up ${since(state.startedAt)}${healthText(state)}`;
    case "paused":
      return `Up ${since(state.startedAt)} (Paused)`;
    case "restarting":
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case "created":
      return "Created";
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
    case "exited":
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
}

function healthText(state: ContainerState): string {
  if (state.health === undefined) return "";
  return state.health.status === "starting" ? " (health: starting)" : ` (${state.health.status})`;
}
