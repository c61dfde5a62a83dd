import { availableParallelism } from "node:os";
import { SlipwayError } from "@slipway/base";
import type { CgroupAbilities } from "@slipway/runtime";
import { readRestartPolicy } from "../containers/restart-policy.ts";
import type { HostConfig } from "../faces.ts";

const MEBIBYTE = 1024 * 1024;

const THROTTLES = ["BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"] as const;

/** The numbers alone. An update may give swap without memory: the memory limit was given before. */
export function checkLimits(given: HostConfig, { update }: { readonly update: boolean }): void {
  readRestartPolicy(given.RestartPolicy);
  checkMemory(given, update);
  checkCpu(given);
  checkBlockIo(given);
  checkNumbers(given);
}

function refuse(message: string): never {
  throw new SlipwayError("invalid", message);
}

function checkMemory(given: HostConfig, update: boolean): void {
  const { Memory: memory = 0, MemorySwap: swap = 0, MemoryReservation: reservation = 0 } = given;
  if (memory !== 0 && memory < 6 * MEBIBYTE) refuse("Minimum memory limit allowed is 6MB");
  if (memory > 0 && swap > 0 && swap < memory) {
    refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (memory === 0 && swap > 0 && !update)
    refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
  if (reservation > 0 && reservation < 6 * MEBIBYTE) refuse("Minimum memory reservation allowed is 6MB");
  if (memory > 0 && reservation > 0 && memory < reservation) {
    refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  const swappiness = given.MemorySwappiness;
  if (swappiness !== undefined && swappiness !== -1 && !(swappiness >= 0 && swappiness <= 100)) {
    refuse(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
}

function checkCpu(given: HostConfig): void {
  const { NanoCpus: nano = 0, CpuPeriod: period = 0, CpuQuota: quota = 0 } = given;
  const cpus = availableParallelism();
  if (nano > 0 && period > 0) refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (nano > 0 && quota > 0) refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  if (nano < 0 || nano > cpus * 1e9) {
    refuse(`range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
  }
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (quota > 0 && quota < 1000) refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  const { CpuRealtimePeriod: rtPeriod = 0, CpuRealtimeRuntime: rtRuntime = 0 } = given;
  if (rtPeriod !== 0 && rtRuntime > rtPeriod) {
    refuse("cpu real-time runtime cannot be higher than cpu real-time period");
  }
  if ((given.CpuShares ?? 0) < 0) refuse(`shares must be a positive number: ${given.CpuShares}`);
  for (const [name, list] of [
    ["cpus", given.CpusetCpus],
    ["mems", given.CpusetMems],
  ] as const) {
    if (list && !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list)) refuse(`Invalid value ${list} for cpuset ${name}`);
  }
}

function checkBlockIo(given: HostConfig): void {
  const weight = given.BlkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000)) refuse("Range of blkio weight is from 10 to 1000");
  for (const device of given.BlkioWeightDevice ?? []) {
    // 0 takes a weight away.
    if (device.Weight === 0 || (device.Weight >= 10 && device.Weight <= 1000)) continue;
    refuse(`invalid weight for device: ${device.Path}:${device.Weight}: the range is from 10 to 1000`);
  }
  for (const name of THROTTLES) {
    for (const device of given[name] ?? []) {
      if (!Number.isSafeInteger(device.Rate) || device.Rate < 0) refuse(`invalid rate for device: ${device.Path}`);
    }
  }
}

function checkNumbers(given: HostConfig): void {
  if ((given.ShmSize ?? 0) < 0) refuse("SHM size can not be less than 0");
  const adjustment = given.OomScoreAdj ?? 0;
  if (!(adjustment >= -1000 && adjustment <= 1000)) {
    refuse(`Invalid value ${adjustment}, range for oom score adj is [-1000, 1000]`);
  }
  for (const limit of given.Ulimits ?? []) {
    if (limit.Hard !== -1 && (limit.Soft > limit.Hard || limit.Soft === -1)) {
      refuse(`ulimit soft limit must be less than or equal to hard limit: ${limit.Soft} > ${limit.Hard}`);
    }
  }
}

type Loose = { -readonly [K in keyof HostConfig]: HostConfig[K] };

/**
 * What this kernel can hold of the limits: the rest is taken out, each with Docker's word for it. Throws `invalid` for
 * what cannot be discarded without misleading: CPUs that are not there, real-time without a scheduler for it.
 */
export function applicableLimits<T extends HostConfig>(
  given: T,
  can: CgroupAbilities,
): { readonly limits: T; readonly warnings: readonly string[] } {
  const limits: Loose = { ...given };
  const warnings: string[] = [];
  const discard = (names: readonly (keyof HostConfig)[], warning: string): void => {
    for (const name of names) delete limits[name];
    warnings.push(warning);
  };
  discardMemory(limits, can, discard);
  discardCpu(limits, can, discard);
  discardBlockIo(limits, can, discard);
  if ((limits.PidsLimit ?? 0) > 0 && !can.pids) discard(["PidsLimit"], missing("PIDs limit", "PIDs limit discarded"));
  if (limits.OomKillDisable === true && !limits.Memory) {
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  }
  return { limits: limits as T, warnings };
}

type Discard = (names: readonly (keyof HostConfig)[], warning: string) => void;

function missing(what: string, consequence: string): string {
  return `Your kernel does not support ${what} capabilities or the cgroup is not mounted. ${consequence}.`;
}

function discardMemory(limits: Loose, can: CgroupAbilities, discard: Discard): void {
  if ((limits.Memory ?? 0) > 0 && !can.memory) {
    discard(["Memory", "MemorySwap"], missing("memory limit", "Limitation discarded"));
  }
  if ((limits.Memory ?? 0) > 0 && limits.MemorySwap !== -1 && !can.swap) {
    discard(["MemorySwap"], missing("swap limit", "Memory limited without swap"));
    limits.MemorySwap = -1;
  }
  if (limits.MemorySwappiness !== undefined && limits.MemorySwappiness !== -1 && !can.memorySwappiness) {
    discard(["MemorySwappiness"], missing("memory swappiness", "Memory swappiness discarded"));
  }
  if ((limits.MemoryReservation ?? 0) > 0 && !can.memoryReservation) {
    discard(["MemoryReservation"], missing("memory soft limit", "Limitation discarded"));
  }
  // No kernel that this engine runs on has these any more.
  if ((limits.KernelMemory ?? 0) > 0) {
    discard(["KernelMemory"], missing("kernel memory limit", "Limitation discarded"));
  }
  if ((limits.KernelMemoryTCP ?? 0) > 0) {
    discard(["KernelMemoryTCP"], missing("kernel memory TCP limit", "Limitation discarded"));
  }
  if (limits.OomKillDisable !== undefined && !can.oomKillDisable) {
    if (limits.OomKillDisable) {
      discard(["OomKillDisable"], "Your kernel does not support OomKillDisable. OomKillDisable discarded.");
    } else delete limits.OomKillDisable;
  }
}

function discardCpu(limits: Loose, can: CgroupAbilities, discard: Discard): void {
  if ((limits.NanoCpus ?? 0) > 0 && !can.cpuQuota) {
    refuse("NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted");
  }
  if ((limits.CpuRealtimePeriod || limits.CpuRealtimeRuntime) && !can.cpuRealtime) {
    refuse("kernel does not support CPU real-time scheduler");
  }
  if ((limits.CpuShares ?? 0) > 0 && !can.cpuShares) {
    discard(["CpuShares"], "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.");
  }
  if ((limits.CpuPeriod || limits.CpuQuota) && !can.cpuQuota) {
    discard(["CpuPeriod", "CpuQuota"], "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.");
  }
  if ((limits.CpuPercent ?? 0) > 0) discard(["CpuPercent"], "linux does not support CPU percent. Percent discarded.");
  if ((limits.CpusetCpus || limits.CpusetMems) && !can.cpuset) {
    discard(
      ["CpusetCpus", "CpusetMems"],
      "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
    );
  }
  if (limits.CpusetCpus && !isWithin(limits.CpusetCpus, can.cpus)) {
    refuse(`Requested CPUs are not available - requested ${limits.CpusetCpus}, available: ${can.cpus}`);
  }
  if (limits.CpusetMems && !isWithin(limits.CpusetMems, can.memoryNodes)) {
    refuse(`Requested memory nodes are not available - requested ${limits.CpusetMems}, available: ${can.memoryNodes}`);
  }
}

function discardBlockIo(limits: Loose, can: CgroupAbilities, discard: Discard): void {
  const lacks = "Your kernel does not support";
  const unmounted = "or the cgroup is not mounted.";
  if ((limits.BlkioWeight ?? 0) > 0 && !can.blockWeight) {
    discard(["BlkioWeight"], `${lacks} Block I/O weight ${unmounted} Weight discarded.`);
  }
  const lists = [
    ["BlkioWeightDevice", can.blockWeightDevice, "Block I/O weight_device", "Weight-device"],
    ["BlkioDeviceReadBps", can.blockReadBps, "BPS Block I/O read limit", "Block I/O BPS read limit"],
    ["BlkioDeviceWriteBps", can.blockWriteBps, "BPS Block I/O write limit", "Block I/O BPS write limit"],
    ["BlkioDeviceReadIOps", can.blockReadIops, "IOPS Block read limit", "Block I/O IOPS read limit"],
    ["BlkioDeviceWriteIOps", can.blockWriteIops, "IOPS Block write limit", "Block I/O IOPS write limit"],
  ] as const;
  for (const [name, able, what, limit] of lists) {
    if ((limits[name] ?? []).length > 0 && !able) discard([name], `${lacks} ${what} ${unmounted} ${limit} discarded.`);
  }
}

/** Whether a list such as `0-2,7` names only members of another; nothing is known of an empty one. */
function isWithin(wanted: string, available: string): boolean {
  if (available === "") return true;
  const ranges = available.split(",").map(rangeOf);
  return wanted.split(",").every((part) => {
    const [from, to] = rangeOf(part);
    return from <= to && ranges.some(([low, high]) => low <= from && to <= high);
  });
}

function rangeOf(text: string): readonly [from: number, to: number] {
  const [from = "", to = from] = text.split("-");
  return [Number(from), Number(to)];
}
