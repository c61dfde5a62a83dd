import { isIP } from "node:net";
import { availableParallelism } from "node:os";
import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import { signalNumber } from "@slipway/sys";
import type { ContainerConfig, HostConfig } from "./faces.ts";
import { parseLogConfig } from "./log-config.ts";
import { parseNetworkMode } from "./network-mode.ts";
import { readRestartPolicy } from "./restart-policy.ts";

const MEBIBYTE = 1024 * 1024;
const DEFAULT_SHM = 64 * MEBIBYTE;

/** What was left open, decided as Docker does. `cgroupVersion` decides whether a container sees all cgroups. */
export function completeHostConfig(given: HostConfig, cgroupVersion: 1 | 2): HostConfig {
  const mode = given.NetworkMode;
  return {
    ...given,
    NetworkMode: mode === undefined || mode === "" || mode === "default" ? "bridge" : mode,
    IpcMode: given.IpcMode || "private",
    CgroupnsMode: given.CgroupnsMode || (cgroupVersion === 2 ? "private" : "host"),
    ShmSize: given.ShmSize || DEFAULT_SHM,
    // As much swap as memory, and said so: an update is measured against it.
    ...((given.Memory ?? 0) > 0 && !given.MemorySwap && { MemorySwap: (given.Memory ?? 0) * 2 }),
    Runtime: given.Runtime || "runc",
    RestartPolicy: {
      Name: given.RestartPolicy?.Name || "no",
      MaximumRetryCount: given.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    LogConfig: { Type: given.LogConfig?.Type || "json-file", Config: given.LogConfig?.Config ?? {} },
  };
}

/** Throws `invalid`, in Docker's words where it has some, for what no container can be made of. */
export function checkHostConfig(given: HostConfig): void {
  const policy = readRestartPolicy(given.RestartPolicy);
  if (given.AutoRemove === true && policy.name !== "no") {
    refuse("can't create 'AutoRemove' container with restart policy");
  }
  parseLogConfig(given.LogConfig, undefined);
  checkLimits(given, { update: false });
  checkNames(given);
  checkModes(given);
}

/** The numbers alone. An update may give swap without memory: the memory limit was given before. */
export function checkLimits(given: HostConfig, { update }: { readonly update: boolean }): void {
  readRestartPolicy(given.RestartPolicy);
  checkMemory(given, update);
  checkCpu(given);
  checkNumbers(given);
}

export function checkConfig(config: ContainerConfig): void {
  if (config.WorkingDir && !posix.isAbsolute(config.WorkingDir)) {
    refuse(`the working directory '${config.WorkingDir}' is invalid. It needs to be an absolute path`);
  }
  if (config.StopSignal) signalNumber(config.StopSignal);
  for (const name of [config.Hostname, config.Domainname]) {
    if (name && (name.length > 255 || !/^[a-zA-Z0-9._-]+$/.test(name))) {
      refuse(`invalid hostname format: ${name.slice(0, 100)}`, "Use letters, digits, '.', '_' and '-'.");
    }
  }
  if ((config.Hostname ?? "").length > 64) refuse(`invalid hostname: ${config.Hostname}: more than 64 characters`);
  const texts = [...(config.Entrypoint ?? []), ...(config.Cmd ?? []), ...(config.Env ?? []), config.User ?? ""];
  if (texts.some((text) => text.includes("\0"))) refuse("arguments and environment cannot contain NUL");
  for (const entry of config.Env ?? [])
    if (entry === "" || entry.startsWith("=")) refuse(`invalid environment variable: ${entry}`);
  for (const path of Object.keys(config.Volumes ?? {})) {
    if (!posix.isAbsolute(path)) refuse(`invalid volume specification: '${path}': mount path must be absolute`);
  }
  if (config.StopTimeout !== undefined && !Number.isInteger(config.StopTimeout))
    refuse("StopTimeout must be whole seconds");
}

function refuse(message: string, hint?: string): never {
  throw new SlipwayError("invalid", message, hint === undefined ? {} : { hint });
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
  if ((given.CpuShares ?? 0) < 0) refuse(`shares must be a positive number: ${given.CpuShares}`);
  for (const [name, list] of [
    ["cpus", given.CpusetCpus],
    ["mems", given.CpusetMems],
  ] as const) {
    if (list && !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list)) refuse(`Invalid value ${list} for cpuset ${name}`);
  }
}

function checkNumbers(given: HostConfig): void {
  if ((given.ShmSize ?? 0) < 0) refuse("SHM size can not be less than 0");
  const weight = given.BlkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000)) refuse("Range of blkio weight is from 10 to 1000");
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

function checkNames(given: HostConfig): void {
  for (const entry of given.ExtraHosts ?? []) {
    const [name = "", address = ""] = splitHost(entry);
    if (name === "" || address === "" || /\s/.test(name)) refuse(`bad format for add-host: "${entry}"`);
    if (address !== "host-gateway" && isIP(address) === 0) refuse(`invalid IP address in add-host: "${address}"`);
  }
  for (const server of given.Dns ?? []) if (isIP(server) === 0) refuse(`${server} is not an IP address`);
  for (const word of [...(given.DnsSearch ?? []), ...(given.DnsOptions ?? [])]) {
    if (/[\s\0]/.test(word)) refuse(`invalid word for resolv.conf: ${JSON.stringify(word)}`);
  }
  for (const device of given.Devices ?? []) {
    if (!/^[rwm]*$/.test(device.CgroupPermissions)) refuse(`invalid device mode: ${device.CgroupPermissions}`);
    if (!posix.isAbsolute(device.PathOnHost)) refuse(`invalid device path: ${device.PathOnHost}`);
  }
  if (Object.keys(given.StorageOpt ?? {}).length > 0) {
    refuse("--storage-opt is supported only for overlay over xfs with 'pquota' mount option");
  }
  if (given.Runtime && !["runc", "crun", "io.containerd.runc.v2"].includes(given.Runtime)) {
    refuse(`unknown or invalid runtime name: ${given.Runtime}`);
  }
}

/** `name:address` or `name=address`; an IPv6 address may stand in brackets. */
export function splitHost(entry: string): readonly [name: string, address: string] {
  const cut = entry.search(/[:=]/);
  return cut < 0 ? [entry, ""] : [entry.slice(0, cut), entry.slice(cut + 1).replace(/^\[(.*)\]$/, "$1")];
}

function checkModes(given: HostConfig): void {
  const network = parseNetworkMode(given.NetworkMode ?? "");
  const publishes = Object.keys(given.PortBindings ?? {}).length > 0 || given.PublishAllPorts === true;
  if (network.kind === "container" && publishes) {
    refuse("conflicting options: port publishing and the container type network mode");
  }
  if (network.kind === "container" && (given.ExtraHosts ?? []).length > 0) {
    refuse("conflicting options: custom host-to-IP mapping and the network mode");
  }
  const namespaces: readonly (readonly [string, string | undefined, readonly string[]])[] = [
    ["IPC", given.IpcMode, ["none", "private", "shareable", "host"]],
    ["PID", given.PidMode, ["host"]],
    ["UTS", given.UTSMode, ["host"]],
    ["cgroup namespace", given.CgroupnsMode, ["private", "host"]],
    ["userns", given.UsernsMode, ["host"]],
  ];
  for (const [what, mode = "", allowed] of namespaces) {
    const joins = (what === "IPC" || what === "PID") && /^container:.+/.test(mode);
    if (mode !== "" && !allowed.includes(mode) && !joins) refuse(`invalid ${what} mode: ${mode}`);
  }
}
