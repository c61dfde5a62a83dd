import { SlipwayError } from "@slipway/base";
import { signalNumber } from "@slipway/sys";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import type { ContainerEntry } from "./container-index.ts";
import { isAlive } from "./container-life.ts";

const SIGKILL = 9;
/** Seconds between the stop signal and the end by force. */
const DEFAULT_STOP_TIMEOUT = 10;
/** Milliseconds until a process that was killed must be gone. */
const KILL_DEADLINE = 10_000;

export interface StopOptions {
  readonly signal?: string;
  /** Seconds; -1 waits for ever. */
  readonly timeout?: number;
}

/**
 * Asks the container to end, and ends it when the time is over. Throws `not-modified` when it is not running. The lock of
 * the container is not held meanwhile: nothing else must wait for a process that takes its time.
 */
export async function stopContainer(
  context: ContainerContext,
  entry: ContainerEntry,
  options: StopOptions = {},
): Promise<void> {
  const { config } = entry.definition;
  const signal = signalNumber(options.signal || config.StopSignal || "SIGTERM");
  await entry.starting;
  if (cancelRestart(context, entry)) return;
  if (!isAlive(entry.state.status)) {
    throw new SlipwayError("not-modified", `container ${entry.id} is not running`);
  }
  const timeout = options.timeout ?? config.StopTimeout ?? DEFAULT_STOP_TIMEOUT;
  context.index.amend(entry, { manuallyStopped: true });
  const deadline = timeout < 0 ? undefined : AbortSignal.timeout(Math.min(timeout * 1000, 2 ** 31 - 1));
  const ended = context.index.nextExit(entry.id, deadline).then(
    () => true,
    () => false,
  );
  await sendSignal(context, entry, signal);
  // A paused process cannot act on the signal.
  if (entry.state.status === "paused") await resume(context, entry);
  if (!(await ended)) await forceEnd(context, entry);
  publishContainerEvent(context, entry, "stop");
}

/** Ends a container whose health check failed, as a stop does, but so that its restart policy starts it again. */
export async function endUnhealthy(context: ContainerContext, entry: ContainerEntry): Promise<void> {
  const { config } = entry.definition;
  entry.unhealthy = true;
  const timeout = config.StopTimeout ?? DEFAULT_STOP_TIMEOUT;
  const deadline = timeout < 0 ? undefined : AbortSignal.timeout(Math.min(timeout * 1000, 2 ** 31 - 1));
  const ended = context.index.nextExit(entry.id, deadline).then(
    () => true,
    () => false,
  );
  await sendSignal(context, entry, signalNumber(config.StopSignal || "SIGTERM"));
  if (!(await ended) && isAlive(entry.state.status)) await sendSignal(context, entry, SIGKILL);
}

/** Ends the container by force and waits until it has ended. Again, or when it has ended already, does nothing. */
export async function forceEnd(context: ContainerContext, entry: ContainerEntry): Promise<void> {
  await entry.starting;
  if (cancelRestart(context, entry) || !isAlive(entry.state.status)) return;
  context.index.amend(entry, { manuallyStopped: true });
  const patience = new AbortController();
  const ended = context.index.nextExit(entry.id, patience.signal);
  ended.catch(() => {});
  await sendSignal(context, entry, SIGKILL);
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    // Frozen processes of cgroup version 1 do not even die. One that is being committed stays frozen until then.
    if (entry.state.status === "paused") await resume(context, entry);
    timer = setTimeout(() => patience.abort(), KILL_DEADLINE);
    await ended;
  } catch (error) {
    throw new SlipwayError("internal", `container ${entry.id} did not end within 10 s of being killed`, {
      cause: error,
      hint: "A process that hangs in the kernel (a dead network file system, for instance) cannot be ended.",
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Docker's kill: KILL waits for the end, any other signal is only sent. Throws `conflict` when nothing runs. */
export async function killContainer(context: ContainerContext, entry: ContainerEntry, signal: string): Promise<void> {
  const number = signalNumber(signal === "" ? "SIGKILL" : signal);
  await entry.starting;
  if (cancelRestart(context, entry)) return;
  if (!isAlive(entry.state.status)) {
    throw new SlipwayError("conflict", `cannot kill container: ${entry.name}: container ${entry.id} is not running`);
  }
  if (number === SIGKILL) return forceEnd(context, entry);
  const stops = number === signalNumber(entry.definition.config.StopSignal || "SIGTERM");
  if (stops) context.index.amend(entry, { manuallyStopped: true });
  await sendSignal(context, entry, number);
  if (stops && entry.state.status === "paused") await resume(context, entry);
}

/** Announced first: the end that it causes may be known before the supervisor's answer. */
async function sendSignal(context: ContainerContext, entry: ContainerEntry, signal: number): Promise<void> {
  publishContainerEvent(context, entry, "kill", { signal: String(signal) });
  try {
    await context.supervisor.signal(entry.id, signal);
  } catch (error) {
    // It ended by itself in this moment.
    if (isAlive(entry.state.status)) throw error;
  }
}

async function resume(context: ContainerContext, entry: ContainerEntry): Promise<void> {
  await context.lock.with(entry.id, async () => {
    if (entry.state.status !== "paused") return;
    await context.supervisor.resume(entry.id);
    if (entry.state.status !== "paused") return;
    context.index.apply(entry, { kind: "resumed" });
    publishContainerEvent(context, entry, "unpause");
  });
}

/** Whether the container waited for the restart policy, and does no longer. */
export function cancelRestart(context: ContainerContext, entry: ContainerEntry): boolean {
  if (entry.state.status !== "restarting") return false;
  entry.restart?.cancel();
  context.index.apply(entry, { kind: "restart-cancelled" }, { manuallyStopped: true });
  return true;
}
