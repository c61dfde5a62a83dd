import type { ImageId, RunConfig } from "@slipway/oci";

/** `Config` of a container, with Docker's field names: the image's run configuration and what only containers have. */
export interface ContainerConfig extends RunConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly Tty?: boolean;
  readonly OpenStdin?: boolean;
  readonly StdinOnce?: boolean;
  /** The image as the user named it. */
  readonly Image: string;
  readonly NetworkDisabled?: boolean;
  readonly MacAddress?: string;
}

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

export interface MountPoint {
  readonly Type: "bind" | "volume" | "tmpfs" | "image";
  readonly Source?: string;
  readonly Target: string;
  readonly ReadOnly?: boolean;
  readonly Consistency?: string;
  readonly BindOptions?: {
    readonly Propagation?: string;
    readonly NonRecursive?: boolean;
    readonly CreateMountpoint?: boolean;
    /** Read-only without the mounts below the source. */
    readonly ReadOnlyNonRecursive?: boolean;
    /** Read-only with the mounts below the source, or an error. */
    readonly ReadOnlyForceRecursive?: boolean;
  };
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean;
    readonly Labels?: Readonly<Record<string, string>>;
    readonly DriverConfig?: { readonly Name?: string; readonly Options?: Readonly<Record<string, string>> };
    readonly Subpath?: string;
  };
  readonly TmpfsOptions?: {
    readonly SizeBytes?: number;
    readonly Mode?: number;
    /** Each a name, or a name and a value. */
    readonly Options?: readonly (readonly string[])[];
  };
  readonly ImageOptions?: { readonly Subpath?: string };
}

/** Bytes or operations a second of one block device of the host. */
export interface ThrottleDevice {
  readonly Path: string;
  readonly Rate: number;
}

export interface DeviceRequest {
  readonly Driver: string;
  readonly Count: number;
  readonly DeviceIDs: readonly string[];
  readonly Capabilities: readonly (readonly string[])[];
  readonly Options: Readonly<Record<string, string>>;
}

/**
 * `HostConfig` with Docker's field names. Fields that the first engine does not act on are kept and shown by inspect, or
 * refused with `not-implemented` when ignoring them would mislead.
 */
export interface HostConfig {
  readonly Binds?: readonly string[];
  readonly Mounts?: readonly MountPoint[];
  readonly VolumesFrom?: readonly string[];
  readonly Tmpfs?: Readonly<Record<string, string>>;
  readonly NetworkMode?: string;
  readonly PortBindings?: Readonly<Record<string, readonly PortBinding[]>>;
  readonly PublishAllPorts?: boolean;
  readonly RestartPolicy?: { readonly Name: string; readonly MaximumRetryCount?: number };
  readonly AutoRemove?: boolean;
  readonly CapAdd?: readonly string[];
  readonly CapDrop?: readonly string[];
  readonly Privileged?: boolean;
  readonly ReadonlyRootfs?: boolean;
  readonly SecurityOpt?: readonly string[];
  readonly Dns?: readonly string[];
  readonly DnsOptions?: readonly string[];
  readonly DnsSearch?: readonly string[];
  readonly ExtraHosts?: readonly string[];
  /** `container` or `container:alias`, on the default network. */
  readonly Links?: readonly string[];
  readonly GroupAdd?: readonly string[];
  readonly IpcMode?: string;
  readonly PidMode?: string;
  readonly UTSMode?: string;
  readonly UsernsMode?: string;
  readonly CgroupnsMode?: string;
  readonly CgroupParent?: string;
  /** Where the client wrote the container's id: only kept. */
  readonly ContainerIDFile?: string;
  readonly OomScoreAdj?: number;
  readonly OomKillDisable?: boolean;
  readonly ShmSize?: number;
  readonly Sysctls?: Readonly<Record<string, string>>;
  readonly Ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly Devices?: readonly {
    readonly PathOnHost: string;
    readonly PathInContainer: string;
    readonly CgroupPermissions: string;
  }[];
  readonly Init?: boolean;
  readonly LogConfig?: { readonly Type: string; readonly Config: Readonly<Record<string, string>> };
  readonly Memory?: number;
  readonly MemorySwap?: number;
  readonly MemoryReservation?: number;
  readonly MemorySwappiness?: number;
  readonly NanoCpus?: number;
  readonly CpuShares?: number;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  readonly PidsLimit?: number;
  readonly BlkioWeight?: number;
  readonly BlkioWeightDevice?: readonly { readonly Path: string; readonly Weight: number }[];
  readonly BlkioDeviceReadBps?: readonly ThrottleDevice[];
  readonly BlkioDeviceWriteBps?: readonly ThrottleDevice[];
  readonly BlkioDeviceReadIOps?: readonly ThrottleDevice[];
  readonly BlkioDeviceWriteIOps?: readonly ThrottleDevice[];
  readonly CpuRealtimePeriod?: number;
  readonly CpuRealtimeRuntime?: number;
  readonly DeviceCgroupRules?: readonly string[];
  readonly DeviceRequests?: readonly DeviceRequest[];
  readonly VolumeDriver?: string;
  readonly Isolation?: string;
  /** Of the past: the kernel has no such limit any more. */
  readonly KernelMemory?: number;
  readonly KernelMemoryTCP?: number;
  /** Windows has these; Linux discards or refuses them. */
  readonly CpuCount?: number;
  readonly CpuPercent?: number;
  readonly IOMaximumIOps?: number;
  readonly IOMaximumBandwidth?: number;
  readonly Runtime?: string;
  readonly MaskedPaths?: readonly string[];
  readonly ReadonlyPaths?: readonly string[];
  readonly Annotations?: Readonly<Record<string, string>>;
  readonly ConsoleSize?: readonly [rows: number, columns: number];
  readonly StorageOpt?: Readonly<Record<string, string>>;
}

/** What can be changed after a container's creation. */
export type ContainerLimits = Pick<
  HostConfig,
  | "BlkioDeviceReadBps"
  | "BlkioDeviceReadIOps"
  | "BlkioDeviceWriteBps"
  | "BlkioDeviceWriteIOps"
  | "BlkioWeight"
  | "BlkioWeightDevice"
  | "CpuRealtimePeriod"
  | "CpuRealtimeRuntime"
  | "CpuShares"
  | "NanoCpus"
  | "CpuPeriod"
  | "CpuQuota"
  | "CpusetCpus"
  | "CpusetMems"
  | "Memory"
  | "MemorySwap"
  | "MemoryReservation"
  | "PidsLimit"
  | "RestartPolicy"
>;

export interface CreateContainer {
  readonly name?: string;
  readonly platform?: string;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** Names or IDs of networks to join, with their settings; empty means: by `NetworkMode`. */
  readonly networks: Readonly<Record<string, EndpointSettings>>;
}

/** What a container asks of a network that it joins. */
export interface EndpointSettings {
  /** Names by which others on the network find it, besides its own. */
  readonly aliases?: readonly string[];
  /** `container` or `container:alias`: names for this container only. */
  readonly links?: readonly string[];
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly linkLocal?: readonly string[];
  readonly mac?: string;
  readonly driverOptions?: Readonly<Record<string, string>>;
  /** The network with the highest one has the default route. */
  readonly gatewayPriority?: number;
}

export type ContainerStatus = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";

/** One run of a container's health check. Times are milliseconds since the epoch. */
export interface HealthProbe {
  readonly start: number;
  readonly end: number;
  /** 0 healthy, anything else not; -1 when it took too long or could not be run. */
  readonly exitCode: number;
  readonly output: string;
}

export interface HealthState {
  readonly status: "starting" | "healthy" | "unhealthy";
  readonly failingStreak: number;
  /** The last five, oldest first. */
  readonly log: readonly HealthProbe[];
}

/** Times are milliseconds since the epoch; absent means: never. */
export interface ContainerState {
  readonly status: ContainerStatus;
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly restartCount: number;
  /** Absent without a health check. */
  readonly health?: HealthState;
  /** It is paused only while an image is made of it: an engine that finds this at its start resumes it. */
  readonly committing?: boolean;
}

export interface ContainerMount {
  readonly type: "bind" | "volume" | "tmpfs" | "image";
  readonly name?: string;
  readonly source: string;
  readonly destination: string;
  readonly driver?: string;
  readonly mode: string;
  readonly readWrite: boolean;
  readonly propagation: string;
}

/** A network that a container belongs to. While it does not run only the settings are there, the rest is empty. */
export interface ContainerEndpoint {
  readonly networkName: string;
  readonly networkId: string;
  readonly endpointId: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly ipv6?: { readonly address: string; readonly prefixLength: number; readonly gateway: string };
  readonly macAddress: string;
  readonly settings: EndpointSettings;
  /** What others on the network find it by; empty where names are not answered. */
  readonly dnsNames: readonly string[];
}

/** Everything known about one container. The server shapes it into the API's documents. */
export interface Container {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** What linked containers call it: `/web/database`. */
  readonly linkNames: readonly string[];
  readonly created: number;
  readonly imageId: ImageId;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly state: ContainerState;
  readonly path: string;
  readonly args: readonly string[];
  readonly mounts: readonly ContainerMount[];
  readonly endpoints: readonly ContainerEndpoint[];
  /** The file of its network namespace; empty while it does not run, and when it has none of its own. */
  readonly namespacePath: string;
  /** Key `80/tcp`; null for exposed but unpublished. */
  readonly ports: Readonly<Record<string, readonly PortBinding[] | null>>;
  readonly logPath: string;
  readonly hostnamePath: string;
  readonly hostsPath: string;
  readonly resolvConfPath: string;
  readonly execIds: readonly string[];
  readonly layers: { readonly lower: string; readonly upper: string; readonly work: string; readonly merged: string };
}

export interface ExecState {
  readonly id: string;
  readonly containerId: string;
  readonly running: boolean;
  readonly exitCode?: number;
  readonly pid: number;
  readonly config: ExecConfig;
}

export interface ExecConfig {
  readonly User?: string;
  readonly Privileged?: boolean;
  readonly Tty?: boolean;
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly DetachKeys?: string;
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly Cmd: readonly string[];
  readonly ConsoleSize?: readonly [rows: number, columns: number];
}

/** What `docker events` prints. */
export interface EngineEvent {
  readonly type: "container" | "image" | "volume" | "network" | "builder" | "daemon";
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
}

export interface Volume {
  readonly name: string;
  readonly driver: string;
  readonly mountpoint: string;
  readonly created: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
}
