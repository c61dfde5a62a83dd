import type { LogQuery, LogRecord, StdioSession } from "@slipway/runtime";
import type { Container, CreateContainer } from "./faces.ts";
import type { Filters } from "./filters.ts";

export interface ContainerListItem {
  readonly container: Container;
  /** `Up 3 minutes`, `Exited (0) 2 hours ago`. */
  readonly status: string;
  /** The name the image has now, or its ID. */
  readonly imageName: string;
  /** Bytes, when asked for. */
  readonly sizes?: { readonly rw: number; readonly rootFs: number };
}

export declare class ContainerService {
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
  logs(nameOrId: string, query: LogQuery): Promise<AsyncIterable<LogRecord>>;
  resize(nameOrId: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
  top(
    nameOrId: string,
    psArgs: string,
  ): Promise<{ readonly titles: readonly string[]; readonly processes: readonly (readonly string[])[] }>;
  prune(filters: Filters): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;
}
