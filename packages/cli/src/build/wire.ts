/** What the engine says during a build, one JSON line each (`POST /slipway/build`). Times are milliseconds. */
export type BuildLine =
  | VertexLine
  | {
      readonly type: "log";
      readonly vertex: string;
      readonly stream: "stdout" | "stderr";
      readonly time: number;
      readonly data: string;
    }
  | {
      readonly type: "status";
      readonly vertex: string;
      readonly id: string;
      readonly current: number;
      readonly total?: number;
      readonly time: number;
      readonly completed?: boolean;
    }
  | { readonly type: "warning"; readonly message: string; readonly source?: SourceRange }
  | ResultLine
  | ErrorLine;

export interface VertexLine {
  readonly type: "vertex";
  readonly id: string;
  readonly name: string;
  readonly inputs?: readonly string[];
  readonly state: "waiting" | "running" | "done" | "cached" | "failed" | "cancelled";
  readonly source?: SourceRange;
  readonly startedAt?: number;
  readonly completedAt?: number;
  readonly error?: string;
  readonly reasons?: readonly MissReason[];
}

export interface SourceRange {
  readonly file: string;
  readonly startLine: number;
  readonly endLine: number;
}

export interface MissReason {
  readonly kind: string;
  readonly subject: string;
  readonly before?: string;
  readonly after?: string;
}

export interface ResultLine {
  readonly type: "result";
  readonly imageId?: string;
  readonly names?: readonly string[];
  readonly manifestDigest?: string;
  readonly outputId?: string;
}

export interface ErrorLine {
  readonly type: "error";
  readonly code?: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}
