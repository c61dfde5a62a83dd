import type { Dockerfile, Warning } from "@slipway/dockerfile";
import type { ImageConfig, Platform } from "@slipway/oci";
import type { StepNetworkMode, StepUlimit } from "../faces.ts";
import type { Vertex } from "../graph.ts";
import type { BaseImage } from "../sources/base-images.ts";
import type { HistoryDraft } from "./stage-state.ts";

/** What a Dockerfile is planned with. */
export interface PlanRequest {
  readonly dockerfile: Dockerfile;
  readonly target?: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly noCache: boolean;
  readonly network: StepNetworkMode;
  readonly extraHosts: readonly string[];
  readonly shmSize: number;
  readonly ulimits: readonly StepUlimit[];
  /** Named contexts that are directories, images or repositories. */
  readonly namedContexts: ReadonlyMap<string, NamedContext>;
  /** An image that can be built from. Throws `not-found` with a hint. */
  readonly findImage: (name: string) => BaseImage;
  readonly onWarning: (warning: Warning) => void;
}

export type NamedContext =
  | { readonly kind: "files" }
  | { readonly kind: "image"; readonly name: string }
  | { readonly kind: "git"; readonly url: string };

export interface Plan {
  readonly root: Vertex;
  readonly platform: Platform;
  readonly config: ImageConfig["config"];
  readonly author: string | undefined;
  readonly baseCreated: string | undefined;
  readonly history: readonly HistoryDraft[];
  /** Seconds. */
  readonly epoch: number | undefined;
  /** For each context, the beginnings of the paths that are read; `""` is all of it. */
  readonly contextPaths: ReadonlyMap<string, ReadonlySet<string>>;
  /** Images that stages begin with, by the ID of their vertex, so that a changed base can be named. */
  readonly secretIds: ReadonlySet<string>;
}

/** The context that a build is given, beside the named ones. */
export const MAIN_CONTEXT = "context";
