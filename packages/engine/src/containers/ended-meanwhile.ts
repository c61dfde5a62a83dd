import { SlipwayError } from "@slipway/base";
import { processStartTime } from "@slipway/sys";
import type { ContainerEntry } from "./container-index.ts";
import { isAlive } from "./container-life.ts";

/**
 * The reason of something that was done to a container's process and failed: a `conflict` if the process ended, or was
 * paused, in that moment, which is nobody's failure. The engine may not have heard of the end yet.
 */
export function reasonOf(entry: ContainerEntry, error: unknown): unknown {
  const { status, pid } = entry.state;
  if (!isAlive(status) || processStartTime(pid) === undefined) {
    return new SlipwayError("conflict", `container ${entry.id} is not running`, { cause: error });
  }
  if (status !== "paused") return error;
  return new SlipwayError("conflict", `container ${entry.id} is paused, unpause the container first`, { cause: error });
}
