import { existsSync } from "node:fs";
import type { Resources } from "./faces.ts";
import { specBlockIo } from "./spec-block-io.ts";
import type { DeviceRule, SpecResources } from "./spec-document.ts";

/** Microseconds; the period that `--cpus` is expressed in. */
const CPU_PERIOD = 100_000;

const SWAP_LIMIT_FILE = "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes";
const UNIFIED_HIERARCHY = "/sys/fs/cgroup/cgroup.controllers";

/**
 * Limits in the terms of the OCI specification, which are those of cgroup v1; the runtime converts them for v2.
 * Memory without a word on swap may use as much swap again, as with Docker.
 */
export function specResources(resources: Resources, devices: readonly DeviceRule[]): SpecResources {
  const memory = memoryOf(resources);
  const cpu = cpuOf(resources);
  const blockIO = specBlockIo(resources);
  return {
    devices,
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(resources.pidsLimit === undefined || resources.pidsLimit === 0 ? {} : { pids: { limit: resources.pidsLimit } }),
    ...(blockIO === undefined ? {} : { blockIO }),
  };
}

function memoryOf(resources: Resources): Record<string, number | boolean> {
  const memory: Record<string, number | boolean> = {};
  if (resources.memory) memory.limit = resources.memory;
  const swap = resources.memorySwap || (resources.memory ? resources.memory * 2 : 0);
  // Kernels may be built without accounting of swap; the memory limit alone still holds then.
  if (swap !== 0 && (existsSync(SWAP_LIMIT_FILE) || existsSync(UNIFIED_HIERARCHY))) memory.swap = swap;
  if (resources.memoryReservation) memory.reservation = resources.memoryReservation;
  if (resources.memorySwappiness !== undefined && resources.memorySwappiness >= 0) {
    memory.swappiness = resources.memorySwappiness;
  }
  if (resources.oomKillDisable) memory.disableOOMKiller = true;
  return memory;
}

function cpuOf(resources: Resources): Record<string, number | string> {
  const cpu: Record<string, number | string> = {};
  if (resources.cpuShares) cpu.shares = resources.cpuShares;
  if (resources.nanoCpus) {
    cpu.period = CPU_PERIOD;
    cpu.quota = Math.floor((resources.nanoCpus * CPU_PERIOD) / 1e9);
  } else {
    if (resources.cpuPeriod) cpu.period = resources.cpuPeriod;
    if (resources.cpuQuota) cpu.quota = resources.cpuQuota;
  }
  if (resources.cpuRealtimePeriod) cpu.realtimePeriod = resources.cpuRealtimePeriod;
  if (resources.cpuRealtimeRuntime) cpu.realtimeRuntime = resources.cpuRealtimeRuntime;
  if (resources.cpusetCpus) cpu.cpus = resources.cpusetCpus;
  if (resources.cpusetMems) cpu.mems = resources.cpusetMems;
  return cpu;
}
