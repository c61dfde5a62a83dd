import type { BuildEvent, BuildRequest, BuildResult, CacheRecord } from "@slipway/build";
import type {
  Container,
  ContainerEndpoint,
  ContainerLimits,
  ContainerMount,
  ContainerStatus,
  CreateContainer,
  EndpointSettings,
  EngineEvent,
  ExecConfig,
  ExecState,
  HostConfig,
  StatsSample,
  Volume,
} from "@slipway/engine";
import type { CreateNetwork, NetworkInfo } from "@slipway/network";
import type { Descriptor, HistoryEntry, ImageId, Platform, RunConfig } from "@slipway/oci";
import type { CgroupAbilities, LogOutput, LogQuery, LogRecord, StdioSession } from "@slipway/runtime";
import type { Image, RootChange } from "@slipway/store";

/** Query filters as the API sends them: each name with the values that are allowed. */
export type Filters = Readonly<Record<string, readonly string[]>>;

export interface ContainerListItem {
  readonly container: Container;
  /** `Up 3 minutes`, `Exited (0) 2 hours ago`. */
  readonly status: string;
  /** The name the image has now, or its ID. */
  readonly imageName: string;
  /** Bytes, when asked for. */
  readonly sizes?: { readonly rw: number; readonly rootFs: number };
}

export interface ContainerBackend {
  create(request: CreateContainer): Promise<{ readonly id: string; readonly warnings: readonly string[] }>;
  list(options: {
    readonly all: boolean;
    readonly limit?: number;
    readonly size: boolean;
    readonly filters: Filters;
  }): Promise<ContainerListItem[]>;
  /** By ID, unique beginning of it, or name. Throws `not-found` as Docker words it. */
  inspect(nameOrId: string, options?: { readonly size?: boolean }): Promise<ContainerListItem>;
  /** Throws `not-modified` when it runs already. */
  start(nameOrId: string): Promise<void>;
  /** Throws `not-modified` when it is not running. `timeout` in seconds, -1 waits for ever. */
  stop(nameOrId: string, options: { readonly signal?: string; readonly timeout?: number }): Promise<void>;
  restart(nameOrId: string, options: { readonly signal?: string; readonly timeout?: number }): Promise<void>;
  kill(nameOrId: string, signal: string): Promise<void>;
  pause(nameOrId: string): Promise<void>;
  unpause(nameOrId: string): Promise<void>;
  rename(nameOrId: string, name: string): Promise<void>;
  remove(nameOrId: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void>;
  /** Forgets the link by which a container on the default network knows another as `alias`. */
  removeLink(nameOrId: string, alias: string): Promise<void>;
  /** Resolves when the condition holds. `registered` is called once a later exit can no longer be missed. */
  wait(
    nameOrId: string,
    options: {
      readonly condition: "not-running" | "next-exit" | "removed";
      readonly signal: AbortSignal;
      readonly registered: () => void;
    },
  ): Promise<{ readonly exitCode: number; readonly error?: string }>;
  attach(
    nameOrId: string,
    options: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
  ): Promise<StdioSession>;
  logs(nameOrId: string, query: LogQuery): Promise<LogOutput>;
  resize(nameOrId: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
  top(
    nameOrId: string,
    psArgs: string,
  ): Promise<{ readonly titles: readonly string[]; readonly processes: readonly (readonly string[])[] }>;
  /** A measurement now, then each second until the container is gone. One that does not run has no usage. */
  stats(nameOrId: string, options: { readonly signal: AbortSignal }): Promise<AsyncIterable<StatsSample>>;
  /** Absent fields stay as they are. Throws `conflict` when they do not go with the limits it has. */
  update(nameOrId: string, limits: ContainerLimits): Promise<{ readonly warnings: readonly string[] }>;
  prune(filters: Filters): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;
}

export interface ExecBackend {
  create(nameOrId: string, config: ExecConfig): Promise<string>;
  inspect(execId: string): Promise<ExecState>;
  /** Starts it; with `detach` there is no session. */
  start(
    execId: string,
    options: { readonly detach: boolean; readonly consoleSize?: { readonly rows: number; readonly columns: number } },
  ): Promise<StdioSession | undefined>;
  resize(execId: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
}

/** What lies at a path of a container. */
export interface PathStat {
  /** The last component, as the path names it. */
  readonly name: string;
  readonly stat: {
    readonly kind: "file" | "dir" | "symlink" | "char" | "block" | "fifo" | "socket";
    /** Octal 0o7777. */
    readonly mode: number;
    /** Bytes. */
    readonly size: number;
    /** Nanoseconds since the epoch. */
    readonly mtime: bigint;
  };
  /** Where a link leads; empty for what is none. */
  readonly linkTarget: string;
}

/** The files of containers, running or not. Paths that are missing throw `not-found`. */
export interface FileBackend {
  stat(nameOrId: string, path: string): Promise<PathStat>;
  /** A tar of a file or a tree. The iterable must be read to its end, or ended, unless the signal fires. */
  archive(
    nameOrId: string,
    path: string,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly stat: PathStat; readonly tar: AsyncIterable<Uint8Array> }>;
  extract(
    nameOrId: string,
    path: string,
    tar: ReadableStream<Uint8Array>,
    options: {
      readonly copyUidGid: boolean;
      readonly noOverwriteDirNonDir: boolean;
      readonly signal: AbortSignal;
    },
  ): Promise<void>;
  changes(
    nameOrId: string,
  ): Promise<readonly { readonly path: string; readonly kind: "modified" | "added" | "deleted" }[]>;
  export(nameOrId: string, options: { readonly signal: AbortSignal }): Promise<AsyncIterable<Uint8Array>>;
  commit(
    nameOrId: string,
    request: {
      readonly repository?: string;
      readonly tag?: string;
      readonly author: string;
      readonly comment: string;
      readonly changes: readonly string[];
      /** Stands for the container's, which fills what it leaves out. */
      readonly config?: RunConfig;
    },
  ): Promise<ImageId>;
}

export interface ImageHistoryItem extends HistoryEntry {
  readonly id: ImageId | "<missing>";
  readonly size: number;
  readonly tags: readonly string[];
}

export interface ImageBackend {
  list(options: {
    readonly all: boolean;
    readonly filters: Filters;
    /** Costs a look at every layer. */
    readonly sharedSize?: boolean;
  }): Promise<{ readonly image: Image; readonly containers: number; readonly sharedBytes?: number }[]>;
  /** IDs of the containers that are made from an image. */
  users(id: ImageId): readonly string[];
  inspect(nameOrId: string): Promise<Image>;
  history(nameOrId: string): Promise<ImageHistoryItem[]>;
  /** What differs between the files of two images. Throws `not-found` at once. */
  diff(before: string, after: string, options: { readonly signal: AbortSignal }): AsyncIterable<RootChange>;
  tag(nameOrId: string, repository: string, tag: string | undefined): Promise<void>;
  remove(
    nameOrId: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<{ readonly untagged?: string; readonly deleted?: string }[]>;
  load(
    archive: ReadableStream<Uint8Array>,
    options: {
      readonly signal: AbortSignal;
      readonly onProgress: (progress: {
        readonly id: string;
        readonly current: number;
        readonly total: number;
      }) => void;
    },
  ): Promise<{ readonly id: ImageId; readonly names: readonly string[] }[]>;
  save(nameOrIds: readonly string[], options: { readonly signal: AbortSignal }): Promise<ReadableStream<Uint8Array>>;
  /** A root file system tar, compressed or not, becomes an image of one layer. */
  import(
    tar: ReadableStream<Uint8Array>,
    options: {
      readonly reference?: string;
      readonly message: string;
      readonly changes: readonly string[];
      readonly platform?: string;
      readonly signal: AbortSignal;
    },
  ): Promise<ImageId>;
  prune(filters: Filters): Promise<{
    readonly removed: readonly { readonly untagged?: string; readonly deleted?: string }[];
    readonly freedBytes: number;
  }>;
}

export interface VolumeBackend {
  list(filters: Filters): Promise<Volume[]>;
  create(options: {
    readonly name?: string;
    readonly driver?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly options: Readonly<Record<string, string>>;
  }): Promise<Volume>;
  inspect(name: string): Promise<Volume>;
  remove(name: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;
}

export interface NetworkBackend {
  list(filters: Filters): Promise<NetworkInfo[]>;
  inspect(nameOrId: string): Promise<{ readonly network: NetworkInfo; readonly containers: readonly Container[] }>;
  create(request: CreateNetwork): Promise<NetworkInfo>;
  remove(nameOrId: string): Promise<void>;
  /** The answer is names. */
  prune(filters: Filters): Promise<{ readonly removed: readonly string[] }>;
  /** At once if the container runs, else with its next start. */
  connect(nameOrId: string, container: string, settings: EndpointSettings): Promise<void>;
  disconnect(nameOrId: string, container: string): Promise<void>;
}

/** Who asks a registry. */
export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
  /** An OAuth2 refresh token, in place of the password. */
  readonly identityToken?: string;
  /** A bearer token that is sent as it is. */
  readonly registryToken?: string;
}

/** A step of a transfer in Docker's words, of one layer or, without `id`, of the whole. Bytes. */
export interface TransferStep {
  readonly id?: string;
  readonly status: string;
  readonly current?: number;
  readonly total?: number;
}

export interface TransferRequest {
  readonly credentials?: RegistryAuth;
  readonly platform?: string;
  readonly onProgress: (step: TransferStep) => void;
  readonly signal: AbortSignal;
}

export interface RegistryBackend {
  /** By tag or digest; without either all tags with `all`, else `latest`. */
  pull(name: string, options: TransferRequest & { readonly all: boolean }): Promise<void>;
  /** One tag, or all of the repository. */
  push(
    name: string,
    options: TransferRequest & {
      readonly tag?: string;
      readonly form?: { readonly compression: "gzip" | "zstd" | "uncompressed"; readonly level: number };
    },
    onPushed: (pushed: { readonly tag: string; readonly digest: string; readonly size: number }) => void,
  ): Promise<void>;
  /** Throws `unauthorized`. An identity token stands for the password from then on, if there is one. */
  login(
    serverAddress: string,
    options: { readonly credentials: RegistryAuth; readonly signal: AbortSignal },
  ): Promise<{ readonly identityToken: string }>;
  /** Throws `not-found` where there is no index. */
  search(
    term: string,
    options: { readonly limit: number; readonly filters: Filters } & RemoteRequest,
  ): Promise<
    readonly {
      readonly name: string;
      readonly description: string;
      readonly stars: number;
      readonly official: boolean;
      readonly automated: boolean;
    }[]
  >;
  describe(
    name: string,
    options: RemoteRequest,
  ): Promise<{ readonly descriptor: Descriptor; readonly platforms: readonly Platform[] }>;
  /** An image as a registry has it. */
  inspect(name: string, options: RemoteRequest & { readonly platform?: string }): Promise<Image>;
  /** A manifest or index as it is; with `config` the configuration that a manifest names. */
  document(
    name: string,
    options: RemoteRequest & { readonly config: boolean },
  ): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string; readonly digest: string }>;
  putDocument(
    name: string,
    document: { readonly bytes: Uint8Array; readonly mediaType: string },
    options: RemoteRequest,
  ): Promise<string>;
  /** Registry to registry, byte for byte, with all that the source names. Returns the digest. */
  copy(
    source: string,
    target: string,
    options: RemoteRequest & { readonly sourceCredentials?: RegistryAuth },
  ): Promise<string>;
}

export interface RemoteRequest {
  readonly credentials?: RegistryAuth;
  readonly signal: AbortSignal;
}

export interface BuildBackend {
  build(request: BuildRequest, onEvent: (event: BuildEvent) => void, signal: AbortSignal): Promise<BuildResult>;
  usage(): Promise<CacheRecord[]>;
  prune(options: {
    readonly all: boolean;
    readonly filters: Filters;
    /** Bytes; what was used most recently stays. 0 is "not given". */
    readonly space?: { readonly reserved: number; readonly maxUsed: number; readonly minFree: number };
  }): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;
}

export interface SystemInfo {
  readonly id: string;
  readonly name: string;
  readonly dataRoot: string;
  readonly containers: Readonly<Record<"running" | "paused" | "stopped", number>>;
  readonly images: number;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly kernelVersion: string;
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly cgroupVersion: 1 | 2;
  readonly cgroupDriver: string;
  readonly abilities: CgroupAbilities;
  readonly runtime: { readonly name: string; readonly path: string; readonly version: string };
  readonly securityOptions: readonly string[];
  readonly warnings: readonly string[];
  readonly debug: boolean;
  readonly osVersion: string;
  /** Readers of live events. */
  readonly listeners: number;
  readonly descriptors: number;
  readonly ipForwarding: boolean;
  /** What the data root lies on, as Docker names it. */
  readonly backingFileSystem: string;
  /** Overlays keep their marks in attributes of users, not of root. */
  readonly userxattr: boolean;
  /** Of containers that choose nothing. */
  readonly loggingDriver: string;
  readonly registries: { readonly mirrors: readonly string[]; readonly insecureRegistries: readonly string[] };
}

export interface SystemBackend {
  info(): Promise<SystemInfo>;
  version(): { readonly version: string; readonly gitCommit: string; readonly buildTime: string };
  diskUsage(): Promise<{
    readonly layersBytes: number;
    readonly images: readonly { readonly image: Image; readonly containers: number; readonly sharedBytes: number }[];
    readonly containers: readonly ContainerListItem[];
    readonly volumes: readonly { readonly volume: Volume; readonly bytes: number; readonly references: number }[];
    readonly cache: readonly CacheRecord[];
  }>;
  /** Past events since `since`, then live ones until `until` or the signal. Nanoseconds. */
  events(options: {
    readonly since?: bigint;
    readonly until?: bigint;
    readonly filters: Filters;
    readonly signal: AbortSignal;
  }): AsyncIterable<EngineEvent>;
}

/** One prune call that somebody means to make, and what it would remove. */
export type PruneStep =
  | { readonly kind: "container" | "network" | "volume" | "image"; readonly filters: Filters }
  | { readonly kind: "builder"; readonly all: boolean; readonly filters: Filters };

/** Something that a prune takes. */
export interface PrunedItem {
  readonly kind: PruneStep["kind"];
  readonly id: string;
  readonly name: string;
  readonly detail: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly lastUsed?: number;
  /** It can be brought back. Absent of what never can. */
  readonly trash?: boolean;
}

export interface PruneResult {
  /** One for each step. */
  readonly reports: readonly {
    readonly kind: PruneStep["kind"];
    /** IDs; of volumes and networks names. */
    readonly removed: readonly (string | { readonly untagged?: string; readonly deleted?: string })[];
    readonly freedBytes: number;
  }[];
  readonly items: readonly PrunedItem[];
  readonly freedBytes: number;
  /** `until` in milliseconds since the epoch. */
  readonly trash?: { readonly prune: string; readonly bytes: number; readonly until: number };
}

export interface PruneBackend {
  /** In the order of the calls; changes nothing. With `trash` as if images and volumes were kept there. */
  plan(
    steps: readonly PruneStep[],
    options: { readonly trash: boolean },
  ): Promise<{ readonly items: readonly PrunedItem[]; readonly freedBytes: number; readonly trashBytes: number }>;
  run(steps: readonly PruneStep[], options: { readonly trash: boolean }): Promise<PruneResult>;
}

/** What a prune took and can be brought back. Times in milliseconds since the epoch. */
export interface TrashItem {
  readonly id: string;
  readonly prune: string;
  readonly kind: "image" | "volume";
  readonly target: string;
  readonly names: readonly string[];
  readonly bytes: number;
  readonly prunedAt: number;
  readonly until: number;
}

export interface TrashBackend {
  contents(): { readonly items: readonly TrashItem[]; readonly bytes: number; readonly maxBytes: number };
  /** A prune or one thing of it, by the beginning of its ID; the last prune without one. */
  undo(
    idOrPrune: string | undefined,
    options: { readonly as?: string },
  ): Promise<{
    readonly prune: string;
    readonly restored: readonly {
      readonly kind: "image" | "volume";
      readonly id: string;
      readonly names: readonly string[];
      readonly taken: readonly string[];
    }[];
    readonly failed: readonly { readonly item: TrashItem; readonly error: unknown }[];
  }>;
  /** For good. */
  empty(idOrPrune?: string): Promise<{ readonly removed: readonly TrashItem[]; readonly freedBytes: number }>;
}

/** What the HTTP API needs. The daemon puts it together. */
export interface Backends {
  readonly containers: ContainerBackend;
  readonly execs: ExecBackend;
  readonly files: FileBackend;
  readonly images: ImageBackend;
  readonly volumes: VolumeBackend;
  readonly networks: NetworkBackend;
  readonly registries: RegistryBackend;
  readonly builds: BuildBackend;
  readonly prunes: PruneBackend;
  readonly trash: TrashBackend;
  readonly system: SystemBackend;
}

export type {
  BuildEvent,
  BuildRequest,
  BuildResult,
  CacheRecord,
  Container,
  ContainerEndpoint,
  ContainerLimits,
  ContainerMount,
  ContainerStatus,
  CreateContainer,
  EndpointSettings,
  EngineEvent,
  ExecConfig,
  ExecState,
  HostConfig,
  Image,
  LogOutput,
  LogQuery,
  LogRecord,
  NetworkInfo,
  RootChange,
  StatsSample,
  StdioSession,
  Volume,
};
