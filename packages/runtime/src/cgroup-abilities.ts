import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupVersion } from "./cgroup.ts";

/** Which limits the kernel and the mounted cgroups can hold. What is false here is discarded with a warning. */
export interface CgroupAbilities {
  readonly memory: boolean;
  readonly swap: boolean;
  readonly memoryReservation: boolean;
  readonly memorySwappiness: boolean;
  readonly oomKillDisable: boolean;
  readonly cpuShares: boolean;
  readonly cpuQuota: boolean;
  readonly cpuRealtime: boolean;
  readonly cpuset: boolean;
  /** Lists such as `0-3`; empty when nothing is known. */
  readonly cpus: string;
  readonly memoryNodes: string;
  readonly pids: boolean;
  readonly blockWeight: boolean;
  readonly blockWeightDevice: boolean;
  readonly blockReadBps: boolean;
  readonly blockWriteBps: boolean;
  readonly blockReadIops: boolean;
  readonly blockWriteIops: boolean;
}

/**
 * Reads them from the hierarchy: the controllers' files of version 1, `cgroup.controllers` of version 2
 * (Documentation/admin-guide/cgroup-v2.rst), where the root itself has no limits to look at.
 */
export function readCgroupAbilities(root = "/sys/fs/cgroup", proc = "/proc"): CgroupAbilities {
  return cgroupVersion(root) === 2 ? unified(root, proc) : legacy(root);
}

function legacy(root: string): CgroupAbilities {
  const has = (controller: string, file: string) => existsSync(join(root, controller, file));
  // Schedulers bring a weight of their own (bfq); the name without one was CFQ's and is gone since Linux 5.0.
  const weight = has("blkio", "blkio.weight") || has("blkio", "blkio.bfq.weight");
  return {
    memory: has("memory", "memory.limit_in_bytes"),
    swap: has("memory", "memory.memsw.limit_in_bytes"),
    memoryReservation: has("memory", "memory.soft_limit_in_bytes"),
    memorySwappiness: has("memory", "memory.swappiness"),
    oomKillDisable: has("memory", "memory.oom_control"),
    cpuShares: has("cpu", "cpu.shares"),
    cpuQuota: has("cpu", "cpu.cfs_quota_us"),
    cpuRealtime: has("cpu", "cpu.rt_period_us"),
    cpuset: has("cpuset", "cpuset.cpus"),
    cpus: textOf(join(root, "cpuset", "cpuset.cpus")),
    memoryNodes: textOf(join(root, "cpuset", "cpuset.mems")),
    pids: existsSync(join(root, "pids")),
    blockWeight: weight,
    blockWeightDevice: has("blkio", "blkio.weight_device") || has("blkio", "blkio.bfq.weight_device"),
    blockReadBps: has("blkio", "blkio.throttle.read_bps_device"),
    blockWriteBps: has("blkio", "blkio.throttle.write_bps_device"),
    blockReadIops: has("blkio", "blkio.throttle.read_iops_device"),
    blockWriteIops: has("blkio", "blkio.throttle.write_iops_device"),
  };
}

function unified(root: string, proc: string): CgroupAbilities {
  const controllers = new Set(textOf(join(root, "cgroup.controllers")).split(/\s+/));
  const [memory, cpu, io] = [controllers.has("memory"), controllers.has("cpu"), controllers.has("io")];
  return {
    memory,
    // The root has no memory.swap.max to look at; a kernel built with swap has this file.
    swap: memory && existsSync(join(proc, "swaps")),
    memoryReservation: memory,
    memorySwappiness: false,
    oomKillDisable: false,
    cpuShares: cpu,
    cpuQuota: cpu,
    cpuRealtime: false,
    cpuset: controllers.has("cpuset"),
    cpus: textOf(join(root, "cpuset.cpus.effective")),
    memoryNodes: textOf(join(root, "cpuset.mems.effective")),
    pids: controllers.has("pids"),
    blockWeight: io,
    blockWeightDevice: io,
    blockReadBps: io,
    blockWriteBps: io,
    blockReadIops: io,
    blockWriteIops: io,
  };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return "";
  }
}
