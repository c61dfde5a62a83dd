import {
  type BlockLimit,
  type Mount,
  type Namespace,
  type ProcessUser,
  type Resources,
  resolveUser,
  type SpecInput,
} from "@slipway/runtime";
import type { ContainerDefinition } from "../containers/container-table.ts";
import type { HostConfig, ThrottleDevice } from "../faces.ts";
import { readInRoot } from "../files/container-root.ts";
import { processEnv } from "./config-merge.ts";
import { readSecurityOptions } from "./security-options.ts";

/** What the start of a container found out. */
export interface StartFacts {
  /** Where the container's root is mounted. */
  readonly rootPath: string;
  readonly user: ProcessUser;
  readonly mounts: readonly Mount[];
  readonly namespaces: SpecInput["namespaces"];
  /** 0 for no shared memory; else what was asked for. */
  readonly shmSize?: number;
  /** The program that becomes the first process, for those who ask for one. */
  readonly init?: string;
}

/** A container as the runtime package takes it. It looks at nothing but its arguments. */
export function specInput(definition: ContainerDefinition, facts: StartFacts): SpecInput {
  const { config, hostConfig, id } = definition;
  const security = readSecurityOptions(hostConfig.SecurityOpt ?? []);
  const privileged = hostConfig.Privileged === true;
  const open = privileged || security.systemPathsOpen;
  return {
    id,
    rootPath: facts.rootPath,
    readonlyRoot: hostConfig.ReadonlyRootfs === true,
    args: [definition.path, ...definition.args],
    env: withHome(processEnv(config, config.Hostname ?? ""), facts.user),
    cwd: config.WorkingDir || "/",
    user: facts.user,
    terminal: config.Tty === true,
    hostname: config.Hostname ?? "",
    ...(config.Domainname ? { domainname: config.Domainname } : {}),
    mounts: facts.mounts,
    devices: (hostConfig.Devices ?? []).map((device) => ({
      pathOnHost: device.PathOnHost,
      pathInContainer: device.PathInContainer || device.PathOnHost,
      permissions: device.CgroupPermissions || "rwm",
    })),
    deviceRules: hostConfig.DeviceCgroupRules ?? [],
    capAdd: hostConfig.CapAdd ?? [],
    capDrop: hostConfig.CapDrop ?? [],
    privileged,
    noNewPrivileges: security.noNewPrivileges,
    seccomp: security.seccomp,
    ...pathLists(hostConfig, open),
    sysctls: hostConfig.Sysctls ?? {},
    rlimits: (hostConfig.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
    resources: resourcesOf(hostConfig),
    ...(hostConfig.CgroupParent ? { cgroupParent: hostConfig.CgroupParent } : {}),
    namespaces: facts.namespaces,
    shmSize: facts.shmSize ?? hostConfig.ShmSize ?? 64 * 1024 * 1024,
    ...(facts.init === undefined ? {} : { init: facts.init }),
    ...(hostConfig.OomScoreAdj === undefined ? {} : { oomScoreAdj: hostConfig.OomScoreAdj }),
    ...(security.apparmor === undefined ? {} : { apparmorProfile: security.apparmor }),
    annotations: hostConfig.Annotations ?? {},
  };
}

function withHome(env: readonly string[], user: ProcessUser): readonly string[] {
  return env.some((entry) => entry.startsWith("HOME=")) ? env : [...env, `HOME=${user.home}`];
}

function pathLists(hostConfig: HostConfig, open: boolean): Pick<SpecInput, "maskedPaths" | "readonlyPaths"> {
  const { MaskedPaths: masked, ReadonlyPaths: readonly } = hostConfig;
  return {
    ...(open ? { maskedPaths: [], readonlyPaths: [] } : {}),
    ...(masked === undefined || masked === null ? {} : { maskedPaths: masked }),
    ...(readonly === undefined || readonly === null ? {} : { readonlyPaths: readonly }),
  };
}

/** Docker's numbers, where 0 and, for some, -1 mean: no limit. */
export function resourcesOf(hostConfig: HostConfig): Resources {
  const { Memory: memory, MemorySwap: swap } = hostConfig;
  const positive = (value: number | undefined): number | undefined =>
    value !== undefined && value > 0 ? value : undefined;
  const limits = {
    memory: positive(memory),
    // Without a word about swap a container gets as much of it as of memory, as with Docker.
    memorySwap:
      swap === undefined || swap === 0 ? (positive(memory) === undefined ? undefined : (memory ?? 0) * 2) : swap,
    memoryReservation: positive(hostConfig.MemoryReservation),
    memorySwappiness: hostConfig.MemorySwappiness === -1 ? undefined : hostConfig.MemorySwappiness,
    oomKillDisable: hostConfig.OomKillDisable === true ? true : undefined,
    nanoCpus: positive(hostConfig.NanoCpus),
    cpuShares: positive(hostConfig.CpuShares),
    cpuPeriod: positive(hostConfig.CpuPeriod),
    cpuQuota: hostConfig.CpuQuota === 0 ? undefined : hostConfig.CpuQuota,
    cpusetCpus: hostConfig.CpusetCpus || undefined,
    cpusetMems: hostConfig.CpusetMems || undefined,
    pidsLimit: positive(hostConfig.PidsLimit),
    cpuRealtimePeriod: positive(hostConfig.CpuRealtimePeriod),
    cpuRealtimeRuntime: positive(hostConfig.CpuRealtimeRuntime),
    blkioWeight: positive(hostConfig.BlkioWeight),
    blkioWeightDevices: hostConfig.BlkioWeightDevice?.map(({ Path, Weight }) => ({ path: Path, value: Weight })),
    blkioReadBps: blockLimits(hostConfig.BlkioDeviceReadBps),
    blkioWriteBps: blockLimits(hostConfig.BlkioDeviceWriteBps),
    blkioReadIops: blockLimits(hostConfig.BlkioDeviceReadIOps),
    blkioWriteIops: blockLimits(hostConfig.BlkioDeviceWriteIOps),
  };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined && value !== null));
}

function blockLimits(devices: readonly ThrottleDevice[] | undefined): BlockLimit[] | undefined {
  return devices?.map(({ Path, Rate }) => ({ path: Path, value: Rate }));
}

/** The user of a process by the files that the container has now. */
export function userInRoot(rootPath: string, user: string, groupAdd: readonly string[]): ProcessUser {
  const passwd = readInRoot(rootPath, "/etc/passwd") ?? "";
  const group = readInRoot(rootPath, "/etc/group") ?? "";
  const resolved = resolveUser(user, passwd, group, groupAdd);
  // The primary group is listed too: or a process could drop it, and reach what is closed to just this group.
  return { ...resolved, additionalGids: [...new Set([resolved.gid, ...resolved.additionalGids])] };
}

/** A namespace by Docker's mode; `join` finds that of another container. */
export function namespaceOf(mode: string | undefined, join: (container: string) => Namespace): Namespace {
  if (mode === "host") return "host";
  return mode?.startsWith("container:") ? join(mode.slice("container:".length)) : "private";
}
