import { type ApiVersion, formatApiVersion, MAX_API_VERSION, MIN_API_VERSION } from "../api-version.ts";
import type { Backends, EngineEvent, SystemInfo } from "../backend.ts";
import { timestamp } from "./time.ts";

export function versionDocument(
  version: ReturnType<Backends["system"]["version"]>,
  info: Pick<SystemInfo, "kernelVersion" | "architecture" | "runtime">,
): Record<string, unknown> {
  const arch = goArchitecture(info.architecture);
  const details = {
    ApiVersion: formatApiVersion(MAX_API_VERSION),
    MinAPIVersion: formatApiVersion(MIN_API_VERSION),
    GitCommit: version.gitCommit,
    GoVersion: "none",
    Os: "linux",
    Arch: arch,
    KernelVersion: info.kernelVersion,
    BuildTime: version.buildTime,
  };
  return {
    Platform: { Name: "Slipway" },
    Components: [
      { Name: "Engine", Version: version.version, Details: { ...details, Experimental: "false" } },
      { Name: info.runtime.name, Version: info.runtime.version, Details: { GitCommit: "" } },
    ],
    Version: version.version,
    ...details,
  };
}

/** `GET /info`. What Slipway does not have is there with Docker's value for "none": clients read these fields unasked. */
export function infoDocument(
  info: SystemInfo,
  version: ReturnType<Backends["system"]["version"]>,
  apiVersion: ApiVersion,
): Record<string, unknown> {
  const { running, paused, stopped } = info.containers;
  // Components say which commit they were made of; what Docker expected beside it was dropped in 1.49.
  const commit = (id: string) => ({ ID: id, ...(apiVersion < 49 && { Expected: id }) });
  return {
    ID: info.id,
    Containers: running + paused + stopped,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: stopped,
    Images: info.images,
    Driver: "overlay2",
    DriverStatus: [
      ["Backing Filesystem", info.backingFileSystem],
      ["Supports d_type", "true"],
      ["Using metacopy", "false"],
      ["Native Overlay Diff", "true"],
      ["userxattr", String(info.userxattr)],
    ],
    Plugins: {
      Volume: ["local"],
      Network: ["bridge", "host", "null"],
      Authorization: null,
      Log: ["json-file", "local", "none"],
    },
    MemoryLimit: info.abilities.memory,
    SwapLimit: info.abilities.swap,
    ...(apiVersion < 42 && { KernelMemory: false, KernelMemoryTCP: false }),
    CpuCfsPeriod: info.abilities.cpuQuota,
    CpuCfsQuota: info.abilities.cpuQuota,
    CPUShares: info.abilities.cpuShares,
    CPUSet: info.abilities.cpuset,
    PidsLimit: info.abilities.pids,
    IPv4Forwarding: info.ipForwarding,
    ...(apiVersion < 50 && { BridgeNfIptables: false, BridgeNfIp6tables: false }),
    Debug: info.debug,
    NFd: info.descriptors,
    OomKillDisable: info.abilities.oomKillDisable,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: info.loggingDriver,
    CgroupDriver: info.cgroupDriver,
    CgroupVersion: String(info.cgroupVersion),
    NEventsListener: info.listeners,
    KernelVersion: info.kernelVersion,
    OperatingSystem: info.operatingSystem,
    OSVersion: info.osVersion,
    OSType: "linux",
    Architecture: machineArchitecture(info.architecture),
    IndexServerAddress: "https://index.docker.io/v1/",
    RegistryConfig: registryDocument(info, apiVersion),
    NCPU: info.cpus,
    MemTotal: info.memoryBytes,
    GenericResources: null,
    DockerRootDir: info.dataRoot,
    HttpProxy: "",
    HttpsProxy: "",
    NoProxy: "",
    Name: info.name,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: version.version,
    Runtimes: { [info.runtime.name]: runtimeDocument(info, apiVersion) },
    DefaultRuntime: info.runtime.name,
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    // Containers always outlive the daemon.
    LiveRestoreEnabled: true,
    Isolation: "",
    InitBinary: "docker-init",
    ContainerdCommit: commit(""),
    RuncCommit: commit(info.runtime.version),
    InitCommit: commit(""),
    SecurityOptions: info.securityOptions,
    ...(apiVersion >= 44 && { CDISpecDirs: [] }),
    ...(apiVersion >= 49 && { FirewallBackend: { Driver: "nftables" } }),
    ...(apiVersion >= 50 && { DiscoveredDevices: null }),
    Warnings: info.warnings.length === 0 ? null : info.warnings,
  };
}

function runtimeDocument({ runtime }: SystemInfo, apiVersion: ApiVersion): Record<string, unknown> {
  const features = { "org.opencontainers.runtime-spec.features": "{}" };
  return { path: runtime.path || runtime.name, ...(apiVersion >= 44 && { status: features }) };
}

function registryDocument({ registries }: SystemInfo, apiVersion: ApiVersion): Record<string, unknown> {
  const { mirrors, insecureRegistries } = registries;
  const blocks = insecureRegistries.filter((each) => each.includes("/"));
  const hosts = insecureRegistries.filter((each) => !each.includes("/"));
  const insecure = (Name: string) => [Name, { Name, Mirrors: [], Secure: false, Official: false }] as const;
  return {
    ...(apiVersion < 49 && {
      AllowNondistributableArtifactsCIDRs: [],
      AllowNondistributableArtifactsHostnames: [],
    }),
    InsecureRegistryCIDRs: [...blocks, "::1/128", "127.0.0.0/8"],
    IndexConfigs: {
      ...Object.fromEntries(hosts.map(insecure)),
      "docker.io": { Name: "docker.io", Mirrors: mirrors, Secure: true, Official: true },
    },
    Mirrors: mirrors,
  };
}

/** One line of `GET /events`. `status`, `id` and `from` are what clients from before 1.22 read; they were there up to 1.51. */
export function eventLine(event: EngineEvent, version: ApiVersion): string {
  const isContainer = event.type === "container";
  const image = event.attributes.image;
  const document = {
    ...(version < 52 && (isContainer || event.type === "image") && { status: event.action, id: event.id }),
    ...(version < 52 && isContainer && image !== undefined && { from: image }),
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: "local",
    time: Number(event.time / 1_000_000_000n),
  };
  // Nanoseconds are beyond 2^53, and JSON has no bigint: the number is appended as text.
  return `${JSON.stringify(document).slice(0, -1)},"timeNano":${event.time}}\n`;
}

export function cacheDocument(
  record: Awaited<ReturnType<Backends["builds"]["usage"]>>[number],
  version: ApiVersion,
): Record<string, unknown> {
  return {
    ID: record.id,
    // Records here have ingredients, not parents.
    ...(version < 42 && { Parent: "" }),
    Type: record.type,
    Description: record.description,
    InUse: record.inUse,
    Shared: record.shared,
    Size: record.size,
    CreatedAt: timestamp(record.createdAt),
    LastUsedAt: record.lastUsedAt === undefined ? null : timestamp(record.lastUsedAt),
    UsageCount: record.usageCount,
  };
}

function goArchitecture(architecture: string): string {
  return { x86_64: "amd64", x64: "amd64", aarch64: "arm64" }[architecture] ?? architecture;
}

function machineArchitecture(architecture: string): string {
  return { amd64: "x86_64", x64: "x86_64", arm64: "aarch64" }[architecture] ?? architecture;
}
