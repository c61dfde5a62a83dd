import { isIP } from "node:net";
import { posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import { checkCapability, parseDeviceRule } from "@slipway/runtime";
import { signalNumber } from "@slipway/sys";
import { readRestartPolicy } from "../containers/restart-policy.ts";
import type { ContainerConfig, HostConfig } from "../faces.ts";
import { checkLimits } from "./limits.ts";
import { parseLogConfig } from "./log-config.ts";
import { parseNetworkMode } from "./network-mode.ts";

const DEFAULT_SHM = 64 * 1024 * 1024;

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
  for (const name of [...(given.CapAdd ?? []), ...(given.CapDrop ?? [])]) checkCapability(name);
  checkLimits(given, { update: false });
  checkWindows(given);
  checkDevices(given);
  checkNames(given);
  checkModes(given);
  checkSysctls(given);
}

export function checkConfig(config: ContainerConfig): void {
  if (config.WorkingDir && !posix.isAbsolute(config.WorkingDir)) {
    refuse(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
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
  checkHealth(config.Healthcheck);
  if (config.StopTimeout !== undefined && !Number.isInteger(config.StopTimeout))
    refuse("StopTimeout must be whole seconds");
}

const SHORTEST = 1e6;

/** Times are nanoseconds; 0 is "not given". */
function checkHealth(check: ContainerConfig["Healthcheck"]): void {
  if (check === undefined) return;
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const value = check[name] ?? 0;
    if (value !== 0 && value < SHORTEST) refuse(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((check.Retries ?? 0) < 0) refuse("Retries in Healthcheck cannot be negative");
}

function refuse(message: string, hint?: string): never {
  throw new SlipwayError("invalid", message, hint === undefined ? {} : { hint });
}

function checkDevices(given: HostConfig): void {
  for (const device of given.Devices ?? []) {
    if (!/^[rwm]*$/.test(device.CgroupPermissions)) refuse(`invalid device mode: ${device.CgroupPermissions}`);
    if (!posix.isAbsolute(device.PathOnHost)) refuse(`invalid device path: ${device.PathOnHost}`);
  }
  for (const rule of given.DeviceCgroupRules ?? []) parseDeviceRule(rule);
  for (const { Driver, Capabilities } of given.DeviceRequests ?? []) {
    const capabilities = `[${Capabilities.map((set) => `[${set.join(" ")}]`).join(" ")}]`;
    refuse(
      `could not select device driver ${JSON.stringify(Driver)} with capabilities: ${capabilities}`,
      "This engine has no drivers for GPUs or CDI devices; pass device nodes with --device.",
    );
  }
}

/** What only Windows has. Docker's client sends 0 and "default" for nothing. */
function checkWindows(given: HostConfig): void {
  if (given.Isolation && given.Isolation !== "default") {
    refuse(`invalid isolation (${given.Isolation}): linux only supports 'default'`);
  }
  if (given.IOMaximumBandwidth || given.IOMaximumIOps) {
    refuse("invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps");
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

/** Parameters of the IPC namespace; all others are `net.` or the machine's. */
const IPC_SYSCTL = /^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;

/** Parameters of namespaces that the container has for itself: everything else would be a change of the machine. */
function checkSysctls(given: HostConfig): void {
  for (const [name, value] of Object.entries(given.Sysctls ?? {})) {
    const key = name.replaceAll("/", ".");
    if (name.includes("\0") || value.includes("\0")) refuse(`invalid sysctl ${JSON.stringify(name)}`);
    if (IPC_SYSCTL.test(key)) {
      if (given.IpcMode === "host") refuse(`sysctl ${JSON.stringify(name)} not allowed in host ipc namespace`);
    } else if (key.startsWith("net.")) {
      if (given.NetworkMode === "host") refuse(`sysctl ${JSON.stringify(name)} not allowed in host network namespace`);
    } else if (key === "kernel.domainname" || key === "kernel.hostname") {
      if (given.UTSMode === "host") refuse(`sysctl ${JSON.stringify(name)} not allowed in host UTS namespace`);
    } else {
      refuse(
        `sysctl ${JSON.stringify(name)} is not in a separate kernel namespace`,
        "Only net.*, fs.mqueue.* and the kernel.msg*, kernel.sem and kernel.shm* parameters belong to a container; set others on the host.",
      );
    }
  }
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
