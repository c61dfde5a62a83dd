import { errorMessage, SlipwayError } from "@slipway/base";
import { Cgroup, cgroupsPath, updateContainer } from "@slipway/runtime";
import type { ContainerLimits, HostConfig } from "../faces.ts";
import { resourcesOf } from "../settings/container-spec.ts";
import { applicableLimits, checkLimits } from "../settings/limits.ts";
import { type ContainerContext, publishContainerEvent } from "./container-context.ts";
import type { ContainerEntry } from "./container-index.ts";
import { isAlive } from "./container-life.ts";
import { reasonOf } from "./ended-meanwhile.ts";
import { readRestartPolicy } from "./restart-policy.ts";

/** The fields that an update may give; 0, "" and absent leave what there is. */
const AMOUNTS = [
  "BlkioWeight",
  "CpuShares",
  "NanoCpus",
  "CpuPeriod",
  "CpuQuota",
  "CpusetCpus",
  "CpusetMems",
  "CpuRealtimePeriod",
  "CpuRealtimeRuntime",
  "Memory",
  "MemorySwap",
  "MemoryReservation",
] as const;

/** A list stands for all devices: one that it does not name, or names with 0, loses its limit. */
const DEVICES = [
  "BlkioWeightDevice",
  "BlkioDeviceReadBps",
  "BlkioDeviceReadIOps",
  "BlkioDeviceWriteBps",
  "BlkioDeviceWriteIOps",
] as const;

/**
 * Other limits and another restart policy for a container. The caller holds its lock. Throws `invalid` for what is no
 * limit, `conflict` for what does not go with the limits it has, and the runtime's reason. Returns warnings.
 */
export async function updateLimits(
  context: ContainerContext,
  entry: ContainerEntry,
  change: ContainerLimits,
): Promise<readonly string[]> {
  const { status } = entry.state;
  if (status === "removing" || status === "dead") {
    throw cannot(entry, new SlipwayError("conflict", 'container is marked for removal and cannot be "update"'));
  }
  const { limits, warnings } = applicableLimits(change, context.abilities);
  const hostConfig = merge(entry, limits);
  // Applied before it is stored: limits that the kernel refuses must not stand in the way of the next start.
  if (isAlive(status)) await apply(context, entry, hostConfig);
  context.index.redefine(entry, { ...entry.definition, hostConfig });
  publishContainerEvent(context, entry, "update");
  return warnings;
}

/** Throws `invalid` before anything is looked at. */
export function checkUpdate(change: ContainerLimits): void {
  checkLimits(change, { update: true });
}

function merge(entry: ContainerEntry, change: ContainerLimits): HostConfig {
  const before = entry.definition.hostConfig;
  const reason = conflictOf(before, change);
  if (reason !== undefined) throw cannot(entry, new SlipwayError("conflict", reason));
  const given = Object.fromEntries(AMOUNTS.flatMap((name) => (change[name] ? [[name, change[name]]] : [])));
  const devices = Object.fromEntries(DEVICES.flatMap((name) => (change[name] ? [[name, change[name]]] : [])));
  return {
    ...before,
    ...given,
    ...devices,
    // -1 and 0 both mean "no limit" here; Docker stores 0.
    ...(change.PidsLimit !== undefined && { PidsLimit: Math.max(change.PidsLimit, 0) }),
    ...(change.RestartPolicy?.Name && { RestartPolicy: change.RestartPolicy }),
  };
}

function conflictOf(before: HostConfig, change: ContainerLimits): string | undefined {
  const { NanoCpus: nano = 0, CpuPeriod: period = 0, CpuQuota: quota = 0, Memory: memory = 0 } = change;
  const had = { nano: before.NanoCpus ?? 0, period: before.CpuPeriod ?? 0, quota: before.CpuQuota ?? 0 };
  const swap = before.MemorySwap ?? 0;
  const conflict = "Conflicting options:";
  if (nano > 0 && had.period > 0) return `${conflict} Nano CPUs cannot be updated as CPU Period has already been set`;
  if (nano > 0 && had.quota > 0) return `${conflict} Nano CPUs cannot be updated as CPU Quota has already been set`;
  if (period > 0 && had.nano > 0) return `${conflict} CPU Period cannot be updated as NanoCPUs has already been set`;
  if (quota > 0 && had.nano > 0) return `${conflict} CPU Quota cannot be updated as NanoCPUs has already been set`;
  if (swap > 0 && memory > swap && !change.MemorySwap) {
    return "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
  }
  const policy = readRestartPolicy(change.RestartPolicy).name;
  if (before.AutoRemove === true && policy !== "no") {
    return "Restart policy cannot be updated because AutoRemove is enabled for the container";
  }
  return undefined;
}

async function apply(context: ContainerContext, entry: ContainerEntry, hostConfig: HostConfig): Promise<void> {
  const resources = { ...resourcesOf(hostConfig), ...(hostConfig.PidsLimit === 0 && { pidsLimit: -1 }) };
  const { paths } = context;
  const before = entry.definition.hostConfig;
  const cgroup = new Cgroup(cgroupsPath(entry.id, before.CgroupParent || undefined));
  try {
    await updateContainer(paths.execRoot, { id: entry.id, bundle: paths.bundle(entry.id), resources, cgroup });
  } catch (error) {
    throw cannot(entry, error);
  }
}

function cannot(entry: ContainerEntry, cause: unknown): SlipwayError {
  const error = reasonOf(entry, cause);
  const code = error instanceof SlipwayError ? error.code : "internal";
  const reason = error instanceof SlipwayError ? error.details?.reason : undefined;
  const text = typeof reason === "string" ? reason : errorMessage(error);
  return new SlipwayError(code, `Cannot update container ${entry.id}: ${text}`, { cause: error });
}
