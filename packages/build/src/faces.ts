import type { Digest, ImageId, Platform } from "@slipway/oci";
import type { RegistryLogins } from "./sources/base-images.ts";

/** Where the files of a build come from. */
export type BuildContext =
  /** A directory of this machine, read in place. */
  | { readonly kind: "local"; readonly path: string }
  /** A tar that was sent; the builder unpacks it below a directory of its own. */
  | { readonly kind: "tar"; readonly stream: ReadableStream<Uint8Array> }
  | { readonly kind: "git"; readonly url: string }
  /** A Dockerfile alone. */
  | { readonly kind: "empty" };

export type BuildOutput =
  /** Keep the image and give it the request's tags. */
  | { readonly type: "image" }
  /** Run everything, keep only the cache. */
  | { readonly type: "cacheonly" }
  /** The result's files: `local` and `tar` are both sent as a plain tar; the client unpacks it for `local`. */
  | { readonly type: "local" | "tar" }
  | { readonly type: "oci" | "docker" };

/** Where steps are: on the default network, on none, on the host's, or on one of the user's own by name or ID. */
export type StepNetworkMode = "default" | "none" | "host" | `network:${string}`;

/** A limit of each process of a step, as `ulimit` sets it; -1 is none. */
export interface StepUlimit {
  /** `nofile`, `core`, ... */
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export interface BuildRequest {
  readonly context: BuildContext;
  /** A path inside the context, or the text itself. `ignorePath` is where the ignore file was looked for. */
  readonly dockerfile: { readonly path: string } | { readonly text: string; readonly name: string };
  readonly namedContexts: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly platform?: Platform;
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Agent sockets by ID. */
  readonly ssh: ReadonlyMap<string, string>;
  readonly network: StepNetworkMode;
  readonly extraHosts: readonly string[];
  /** Bytes. */
  readonly shmSize: number;
  readonly ulimits: readonly StepUlimit[];
  readonly output: BuildOutput;
  /** Who the build is to registries, by their names (`docker.io`, `localhost:5000`). */
  readonly registryLogins?: RegistryLogins;
}

/** A place in a Dockerfile; lines count from 1, both ends included. */
export interface SourceRange {
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
}

/** Why a step ran although an earlier build made it once. `before` and `after` are shown to people. */
export interface MissReason {
  readonly kind:
    | "first-time"
    | "no-cache"
    | "instruction"
    | "argument"
    | "environment"
    | "parent"
    | "base-image"
    | "file-added"
    | "file-removed"
    | "file-changed"
    | "metadata-changed"
    | "evicted";
  /** The file, argument or step. */
  readonly subject: string;
  readonly before?: string;
  readonly after?: string;
}

export type VertexState = "waiting" | "running" | "done" | "cached" | "failed" | "cancelled";

/** What a build says while it runs, as one stream for terminal, plain and JSON output and for the API. Times are milliseconds. */
export type BuildEvent =
  | {
      readonly type: "vertex";
      readonly id: Digest;
      /** `[build 3/7] RUN npm ci`, as BuildKit names its steps. */
      readonly name: string;
      readonly inputs: readonly Digest[];
      readonly state: VertexState;
      readonly stage?: string;
      readonly source?: SourceRange;
      readonly startedAt?: number;
      readonly completedAt?: number;
      readonly error?: string;
      readonly reasons?: readonly MissReason[];
    }
  | {
      readonly type: "log";
      readonly vertex: Digest;
      readonly stream: "stdout" | "stderr";
      readonly time: number;
      readonly data: Uint8Array;
    }
  | {
      readonly type: "status";
      readonly vertex: Digest;
      readonly id: string;
      readonly current: number;
      readonly total?: number;
      readonly time: number;
      readonly completed?: boolean;
    }
  | { readonly type: "warning"; readonly message: string; readonly source?: SourceRange };

export interface BuildResult {
  readonly imageId?: ImageId;
  readonly manifestDigest?: Digest;
  readonly names: readonly string[];
  /** The bytes to send for `local`, `tar`, `oci` and `docker`. */
  readonly stream?: ReadableStream<Uint8Array>;
}

export interface Builder {
  /**
   * Throws `SlipwayError`; a failed RUN has `details` `{ exitCode, command, source: SourceRange, lastLines: string[], vertex }`,
   * a mistake in the Dockerfile `{ source }` and a message that shows the line.
   */
  build(request: BuildRequest, onEvent: (event: BuildEvent) => void, signal?: AbortSignal): Promise<BuildResult>;
  usage(): Promise<CacheRecord[]>;
  prune(options: {
    readonly all: boolean;
    readonly filters: Readonly<Record<string, readonly string[]>>;
  }): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;
}

export interface CacheRecord {
  readonly id: string;
  readonly type: "regular" | "source.local" | "exec.cachemount";
  readonly description: string;
  /** Bytes. */
  readonly size: number;
  readonly inUse: boolean;
  readonly shared: boolean;
  readonly createdAt: number;
  readonly lastUsedAt?: number;
  readonly usageCount: number;
}
