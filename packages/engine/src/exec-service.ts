import type { StdioSession } from "@slipway/runtime";
import type { ExecConfig, ExecState } from "./faces.ts";

export declare class ExecService {
  create(nameOrId: string, config: ExecConfig): Promise<string>;
  inspect(execId: string): Promise<ExecState>;
  /** Starts it; with `detach` there is no session. */
  start(
    execId: string,
    options: { readonly detach: boolean; readonly consoleSize?: { readonly rows: number; readonly columns: number } },
  ): Promise<StdioSession | undefined>;
  resize(execId: string, size: { readonly rows: number; readonly columns: number }): Promise<void>;
}
