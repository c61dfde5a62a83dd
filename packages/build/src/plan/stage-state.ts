import type { Stage } from "@slipway/dockerfile";
import type { Platform, RunConfig } from "@slipway/oci";
import type { Vertex } from "../graph.ts";
import { readEnv, StageVariables } from "./variables.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** An entry of the image's history before it is known when its layer was made. */
export interface HistoryDraft {
  readonly createdBy: string;
  /** Set for entries that came with a base image. */
  readonly inherited?: { readonly created?: string; readonly author?: string; readonly comment?: string };
  /** What makes the layer; it may turn out that nothing changed. Absent: never a layer. */
  readonly vertex?: Vertex;
  /** For inherited entries. */
  readonly layer?: boolean;
}

/** A stage while its instructions are read: what its image would be if it ended here. */
export interface StageState {
  readonly stage: Stage;
  /** How steps of it are named: `build`, or `stage-1`; empty when the file has one stage without a name. */
  readonly label: string;
  readonly platform: Platform;
  root: Vertex;
  readonly config: Mutable<RunConfig>;
  readonly variables: StageVariables;
  readonly history: HistoryDraft[];
  author: string | undefined;
  /** Of the base image; the image's own when nothing else says when it was made. */
  baseCreated: string | undefined;
  /** Whether CMD stands in this stage: ENTRYPOINT then leaves it alone. */
  commandSet: boolean;
  /** Steps that make something, counted from the FROM, which is 1. */
  step: number;
  steps: number;
  /** Instructions so far. */
  position: number;
  /** Of the RUN that is being planned. */
  sshMounts: number;
}

export function shellOf(state: StageState): readonly string[] {
  return state.config.Shell ?? ["/bin/sh", "-c"];
}

export function workdirOf(state: StageState): string {
  return state.config.WorkingDir || "/";
}

/** What a stage starts with: the base's configuration, and nothing of its ARGs unless the base is a stage. */
export function startConfig(base: RunConfig): Mutable<RunConfig> {
  return structuredClone(base) as Mutable<RunConfig>;
}

export function startVariables(config: RunConfig, base?: StageState): StageVariables {
  return new StageVariables(readEnv(config.Env ?? []), base?.variables.args);
}
