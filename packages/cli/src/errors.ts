/** Ends the command with this exit code. An empty message prints nothing. */
export class ExitError extends Error {
  override readonly name = "ExitError";
  readonly status: number;
  readonly hint: string | undefined;

  constructor(status: number, message = "", hint?: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** What the engine answered with a status from 400 on. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** The engine's own words. */
  readonly reason: string;
  /** What our own engine advises. */
  readonly hint: string | undefined;

  constructor(status: number, reason: string, hint?: string) {
    super(`Error response from daemon: ${reason}`);
    this.status = status;
    this.reason = reason;
    this.hint = hint;
  }
}

/** What failed and what to do about it, for lists of failures. */
export function failureLines(error: ApiError): string[] {
  return error.hint === undefined ? [error.message] : [error.message, error.hint];
}

/** Nobody answers at the host. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
