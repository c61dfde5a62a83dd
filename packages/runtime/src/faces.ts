import type { RunConfig } from "@slipway/oci";

/** A container's limits; undefined means: none. Sizes are bytes. */
export interface Resources {
  readonly memory?: number;
  /** Memory and swap together; -1 for no limit. */
  readonly memorySwap?: number;
  readonly memoryReservation?: number;
  readonly memorySwappiness?: number;
  readonly oomKillDisable?: boolean;
  /** Thousand-millionths of a CPU. */
  readonly nanoCpus?: number;
  readonly cpuShares?: number;
  /** Microseconds. */
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: number;
  readonly cpuRealtimePeriod?: number;
  readonly cpuRealtimeRuntime?: number;
  readonly blkioWeight?: number;
  readonly blkioWeightDevices?: readonly BlockLimit[];
  /** Bytes a second. */
  readonly blkioReadBps?: readonly BlockLimit[];
  readonly blkioWriteBps?: readonly BlockLimit[];
  /** Operations a second. */
  readonly blkioReadIops?: readonly BlockLimit[];
  readonly blkioWriteIops?: readonly BlockLimit[];
}

/** A limit of one block device of the host, by its path. */
export interface BlockLimit {
  readonly path: string;
  readonly value: number;
}

export interface Mount {
  readonly type: "bind" | "tmpfs" | "volume" | string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

export interface Device {
  readonly pathOnHost: string;
  readonly pathInContainer: string;
  /** Of `r`, `w`, `m`. */
  readonly permissions: string;
}

/** A user inside the container, resolved. */
export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** Namespaces: `private` is a new one; a path joins it; `host` shares the host's. */
export type Namespace = "private" | "host" | { readonly path: string };

/** Everything that becomes an OCI runtime specification (config.json). Paths to bundle and root are the caller's. */
export interface SpecInput {
  readonly id: string;
  readonly rootPath: string;
  readonly readonlyRoot: boolean;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ProcessUser;
  readonly terminal: boolean;
  readonly hostname: string;
  readonly domainname?: string;
  readonly mounts: readonly Mount[];
  readonly devices: readonly Device[];
  /** `c 1:3 rwm`, where `*` stands for all numbers and `a` for both kinds. */
  readonly deviceRules?: readonly string[];
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly privileged: boolean;
  readonly noNewPrivileges: boolean;
  /** `default`, `unconfined`, or the JSON of a profile. */
  readonly seccomp: string;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly rlimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly resources: Resources;
  readonly cgroupParent?: string;
  readonly namespaces: {
    readonly network: Namespace;
    readonly ipc: Namespace;
    readonly pid: Namespace;
    readonly uts: Namespace;
    readonly cgroup: Namespace;
  };
  /** Bytes of /dev/shm; 0 for none at all. */
  readonly shmSize: number;
  /** The program on the host that becomes the container's first process; see `installInit`. */
  readonly init?: string;
  readonly oomScoreAdj?: number;
  /** Applied only where the kernel has AppArmor enabled. */
  readonly apparmorProfile?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface LogPolicy {
  readonly driver: "json-file" | "local" | "none";
  /** Bytes of one file before it is rotated. */
  readonly maxSize: number;
  readonly maxFiles: number;
}

export interface StartRequest {
  readonly id: string;
  /** Directory with config.json; the supervisor keeps its FIFOs, pid file and exit record there. */
  readonly bundle: string;
  readonly terminal: boolean;
  readonly openStdin: boolean;
  /** Close the container's stdin when the first attached client closes its own. */
  readonly stdinOnce: boolean;
  readonly consoleSize?: { readonly rows: number; readonly columns: number };
  readonly log: LogPolicy;
  /** Directory for the log files. */
  readonly logDirectory: string;
}

export interface ExecRequest {
  readonly containerId: string;
  readonly execId: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ProcessUser;
  readonly terminal: boolean;
  readonly openStdin: boolean;
  readonly privileged: boolean;
  readonly consoleSize?: { readonly rows: number; readonly columns: number };
  /** The caller's own, kept with the process and given back by `state`. */
  readonly note?: string;
}

/** An exec that runs, or has ended without anybody having heard of it. */
export interface KnownExec {
  readonly id: string;
  readonly execId: string;
  /** 0 when it has ended. */
  readonly pid: number;
  readonly note?: string;
}

export interface ExitRecord {
  readonly id: string;
  readonly execId?: string;
  /** 0-255; 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** Milliseconds since the epoch. */
  readonly finishedAt: number;
  /** The supervisor was killed and nobody could read the code any more; `exitCode` is 255 then. */
  readonly exitCodeUnknown?: boolean;
}

/** Live stdio of a container or an exec. With a terminal everything arrives on stdout. */
export interface StdioSession {
  /** Ends when the process has ended and all of its output was delivered, or at `detach`. */
  readonly output: AsyncIterable<{ readonly stream: "stdout" | "stderr"; readonly data: Uint8Array }>;
  write(data: Uint8Array): Promise<void>;
  closeStdin(): void;
  detach(): void;
}

/**
 * The daemon's side of the supervisor, which owns stdio, ptys, exits and logs of all containers and outlives the daemon.
 * It is started when first needed and ends by itself when nothing runs any more and no daemon is connected.
 */
export interface Supervisor {
  /** Runs the bundle: resolves when the process has started. Throws with `details.exitCode` 126 or 127 and runc's own reason. */
  start(request: StartRequest): Promise<{ readonly pid: number }>;
  exec(request: ExecRequest): Promise<{ readonly pid: number }>;
  /**
   * Joins the live stdio. Opened before `start` it misses nothing: output from the first byte on.
   */
  attach(id: string, options: { readonly execId?: string; readonly stdin: boolean }): Promise<StdioSession>;
  signal(id: string, signal: number, options?: { readonly execId?: string; readonly all?: boolean }): Promise<void>;
  resize(id: string, size: { readonly rows: number; readonly columns: number }, execId?: string): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** What runs, and the exits that were not acknowledged yet. */
  state(): Promise<{
    readonly running: readonly { readonly id: string; readonly pid: number }[];
    readonly exits: readonly ExitRecord[];
    /** Absent from a supervisor of an older version. */
    readonly execs?: readonly KnownExec[];
  }>;
  /** Called for every exit, also those that happened while no daemon was there; acknowledged when the listener returns. */
  onExit(listener: (exit: ExitRecord) => void | Promise<void>): void;
  /** Removes what runc and the supervisor keep of an ended container: `runc delete`, cgroup, FIFOs. */
  delete(id: string): Promise<void>;
  close(): Promise<void>;
}

/** A build step: a container without a supervisor, a child of the caller. */
export interface StepRequest {
  readonly spec: SpecInput;
  /** An empty directory of the caller's, for config.json. */
  readonly bundle: string;
  readonly onOutput: (stream: "stdout" | "stderr", data: Uint8Array) => void;
  readonly signal?: AbortSignal;
}

export interface LogRecord {
  readonly stream: "stdout" | "stderr";
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  readonly data: Uint8Array;
}

/** Read once, as records or as bytes. */
export interface LogOutput extends AsyncIterable<LogRecord> {
  /** What the records say, many at once; `framed` as Docker tells stdout and stderr apart in one stream. */
  bytes(framed: boolean): AsyncIterable<Uint8Array>;
}

export interface LogQuery {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** Nanoseconds since the epoch, inclusive. */
  readonly since?: bigint;
  readonly until?: bigint;
  /** Number of last lines; undefined for all. */
  readonly tail?: number;
  /** Ends it at once. */
  readonly signal?: AbortSignal;
}

/** Whose log, and where it lies. */
export interface LogSource {
  readonly id: string;
  /** The `logDirectory` of its start. */
  readonly directory: string;
  readonly driver: LogPolicy["driver"];
  /** For `follow`: resolves when the container has ended. What it wrote until then is still delivered. */
  readonly ended?: Promise<unknown>;
  /** Called when nobody reads any more. */
  readonly onClosed?: () => void;
}

/** The process a container runs by default: entrypoint then command, as Docker joins them. */
export type DefaultProcess = Pick<RunConfig, "Entrypoint" | "Cmd">;
