import { type ChainId, type Digest, digestOf, type ImageId } from "@slipway/oci";
import type { SourceRange, StepNetworkMode, StepUlimit } from "./faces.ts";
import type { CopyAction } from "./ops/copy-action.ts";

/**
 * The graph of a build, in BuildKit's vocabulary (solver/pb/ops.proto): immutable operations, each named by the digest
 * of its definition and of the definitions it reads. A vertex says *what* is wanted; only the solver knows whether it
 * has to be made.
 */
export interface Vertex {
  /** Digest of the operation and of the digests of its inputs. */
  readonly id: Digest;
  readonly operation: Operation;
  readonly inputs: readonly Vertex[];
  readonly about: VertexAbout;
}

/** What people see of a vertex; no part of its identity. */
export interface VertexAbout {
  /** `[build 3/7] RUN npm ci` */
  readonly name: string;
  readonly stage?: string;
  readonly source?: SourceRange;
  /** The instruction as written, for finding the same step in an earlier build. */
  readonly text: string;
  /** Place in its stage, from 0. */
  readonly position: number;
  readonly noCache?: boolean;
}

export type Operation = SourceOperation | ExecOperation | FileOperation | MergeOperation;

export type SourceOperation =
  | {
      readonly type: "source";
      readonly kind: "image";
      readonly name: string;
      readonly id: ImageId;
      readonly chainId?: ChainId;
    }
  | { readonly type: "source"; readonly kind: "scratch" }
  /** Files of a context; `paths` are the beginnings of what will be read, so that the rest need not be looked at. */
  | { readonly type: "source"; readonly kind: "local"; readonly context: string; readonly paths: readonly string[] }
  | {
      readonly type: "source";
      readonly kind: "http";
      readonly url: string;
      readonly checksum?: string;
      readonly fileName: string;
    }
  | {
      readonly type: "source";
      readonly kind: "git";
      readonly url: string;
      readonly keepGitDir: boolean;
      readonly checksum?: string;
    };

/** Inputs: the root, then one for each mount with `input`. */
export interface ExecOperation {
  readonly type: "exec";
  readonly args: readonly string[];
  /** `NAME=value`: the stage's ENV. */
  readonly env: readonly string[];
  /** `NAME=value`: the ARGs in scope that ENV does not hide. */
  readonly buildArgs: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly network: StepNetworkMode;
  readonly security: "sandbox" | "insecure";
  readonly extraHosts: readonly string[];
  readonly shmSize: number;
  /** Absent without any. */
  readonly ulimits?: readonly StepUlimit[];
  readonly mounts: readonly ExecMount[];
  /** A script from a heredoc that is executed itself. */
  readonly script?: { readonly name: string; readonly content: string };
  /** Seconds; clamps the times of what the step writes. */
  readonly epoch?: number;
}

export type ExecMount =
  | {
      readonly type: "bind";
      readonly target: string;
      readonly source: string;
      readonly readonly: boolean;
      readonly input: number;
    }
  | {
      readonly type: "cache";
      readonly target: string;
      readonly id: string;
      readonly sharing: "shared" | "private" | "locked";
      readonly readonly: boolean;
      readonly source: string;
      readonly input?: number;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: "tmpfs"; readonly target: string; readonly size?: number }
  | {
      readonly type: "secret";
      readonly id: string;
      readonly target?: string;
      readonly env?: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: "ssh";
      readonly id: string;
      readonly target: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** Inputs: the root that it changes, then the sources of a copy. */
export interface FileOperation {
  readonly type: "file";
  readonly action: CopyAction | MkdirAction;
}

export interface MkdirAction {
  readonly kind: "mkdir";
  readonly path: string;
  readonly mode: number;
  /** Owner of what is made. */
  readonly user?: string;
  /** Seconds. */
  readonly epoch?: number;
}

/** The layers of the second input above the first (COPY --link). */
export interface MergeOperation {
  readonly type: "merge";
}

export function vertex(operation: Operation, inputs: readonly Vertex[], about: VertexAbout): Vertex {
  const id = digestOf(JSON.stringify([operation, inputs.map((input) => input.id)]));
  return { id, operation, inputs, about };
}

/** What an operation says by itself, whatever its inputs are. */
export function operationDigest(operation: Operation): Digest {
  return digestOf(JSON.stringify(operation));
}

/** Every vertex that `roots` need, inputs first, each once. */
export function reachable(roots: readonly Vertex[]): Vertex[] {
  const seen = new Map<Digest, Vertex>();
  const visit = (vertex: Vertex): void => {
    if (seen.has(vertex.id)) return;
    for (const input of vertex.inputs) visit(input);
    seen.set(vertex.id, vertex);
  };
  for (const root of roots) visit(root);
  return [...seen.values()];
}
