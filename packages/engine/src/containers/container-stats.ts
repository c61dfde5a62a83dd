import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import {
  Cgroup,
  type ContainerStats,
  cgroupsPath,
  type InterfaceStats,
  interfacesOf,
  readStats,
} from "@slipway/runtime";
import type { ContainerContext } from "./container-context.ts";
import type { ContainerEntry } from "./container-index.ts";
import { isAlive } from "./container-life.ts";

/** One measurement of a container. */
export interface StatsSample {
  readonly id: string;
  readonly name: string;
  readonly cgroupVersion: 1 | 2;
  /** Absent when it does not run. */
  readonly usage?: StatsUsage;
}

export interface StatsUsage extends ContainerStats {
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  /** Time that all CPUs of the machine together have passed, in nanoseconds. */
  readonly systemCpu: number;
  readonly onlineCpus: number;
  readonly machineMemory: number;
  readonly interfaces: readonly InterfaceStats[];
}

/** Milliseconds between two measurements. */
const INTERVAL = 1000;
const NANOSECONDS_PER_TICK = 10_000_000;
/** user, nice, system, idle, iowait, irq and softirq: guests are in `user` already, stolen time belongs to others. */
const CPU_FIELDS = 7;

/** A measurement each second until the container is gone or the signal fires. */
export async function* watchStats(
  context: ContainerContext,
  entry: ContainerEntry,
  signal: AbortSignal,
): AsyncGenerator<StatsSample> {
  while (!signal.aborted && context.index.get(entry.id) !== undefined) {
    yield measure(context, entry);
    await pause(INTERVAL, signal);
  }
}

export function measure(context: ContainerContext, entry: ContainerEntry): StatsSample {
  const { id, name, state, definition } = entry;
  const { cgroupVersion } = context;
  if (!isAlive(state.status)) return { id, name, cgroupVersion };
  const cgroup = new Cgroup(cgroupsPath(id, definition.hostConfig.CgroupParent || undefined));
  const sharesHost = definition.hostConfig.NetworkMode === "host";
  const usage: StatsUsage = {
    ...readStats(cgroup),
    time: BigInt(context.now()) * 1_000_000n,
    systemCpu: systemCpu(),
    onlineCpus: availableParallelism(),
    machineMemory: machineMemory(),
    // The machine's own traffic is not the container's.
    interfaces: sharesHost ? [] : interfacesOf(state.pid),
  };
  return { id, name, cgroupVersion, usage };
}

function systemCpu(): number {
  const [line = ""] = readFileSync("/proc/stat", "latin1").split("\n", 1);
  const ticks = line
    .trim()
    .split(/\s+/)
    .slice(1, 1 + CPU_FIELDS);
  return ticks.reduce((sum, text) => sum + Number(text), 0) * NANOSECONDS_PER_TICK;
}

function machineMemory(): number {
  const kibibytes = /^MemTotal:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end, { once: true });
  });
}
