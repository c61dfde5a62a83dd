import { type ErrorCode, SlipwayError } from "@slipway/base";
import type { LayerEntry } from "../faces.ts";
import type { Job } from "./jobs.ts";
import type { StreamJob } from "./stream-jobs.ts";

/** What the pool tells a worker. A worker has one job at a time. */
export type ToWorker =
  /**
   * `control` is shared, as a busy worker reads no messages: the first 32-bit word becomes 1 when the job is to end, the
   * second counts the chunks that may still be sent.
   */
  | { readonly type: "start"; readonly job: Job | StreamJob; readonly control: SharedArrayBuffer }
  | { readonly type: "entries"; readonly entries: readonly LayerEntry[]; readonly last: boolean }
  | { readonly type: "chunk"; readonly bytes: Uint8Array }
  | { readonly type: "end" };

export type FromWorker =
  | { readonly type: "done"; readonly result: unknown }
  | { readonly type: "failed"; readonly error: WireError }
  | { readonly type: "chunk"; readonly bytes: Uint8Array }
  /** A chunk has been dealt with. */
  | { readonly type: "taken"; readonly bytes: number }
  | { readonly type: "progress"; readonly id: string; readonly current: number; readonly total: number };

export interface WireError {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly errno?: string;
}

export function toWire(error: unknown): WireError {
  if (error instanceof SlipwayError) {
    const { code, message, hint, details } = error;
    return { code, message, details, ...(hint !== undefined && { hint }) };
  }
  if (!(error instanceof Error)) return { message: String(error) };
  const errno = (error as NodeJS.ErrnoException).code;
  return { message: error.message, ...(typeof errno === "string" && { errno }) };
}

export function fromWire(wire: WireError): Error {
  const { code, message, hint, details, errno } = wire;
  if (code !== undefined) {
    return new SlipwayError(code, message, { ...(hint !== undefined && { hint }), ...(details && { details }) });
  }
  const error = new Error(message);
  return errno === undefined ? error : Object.assign(error, { code: errno });
}
