/**
 * The kinds of failure that cross package borders.
 *
 * A code is stable and is what callers match on; the message is for people and says what failed and why.
 * Each edge maps the codes once: the HTTP API to a status, the CLI to an exit code.
 */
export const ERROR_CODES = [
  /** The caller's input is wrong: a flag, a document, a name that cannot be parsed. */
  "invalid",
  "not-found",
  /** The thing exists already and may not be replaced. */
  "already-exists",
  /** The thing is in a state, or in a use, that forbids the operation. */
  "conflict",
  /** Nothing to do: it already is as asked. */
  "not-modified",
  "unauthorized",
  "forbidden",
  /** Content that fails its digest, its size or its format. */
  "corrupt",
  /** No space, too many, too large. */
  "exhausted",
  /** A part that is needed (runc, a kernel feature, a remote) does not answer or is missing. */
  "unavailable",
  "cancelled",
  "deadline",
  "not-implemented",
  "internal",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorOptions {
  /** What the user can do about it: a sentence or a command. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Facts for programs: a path, a digest, an exit code. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class SlipwayError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SlipwayError";
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

export function isError(error: unknown, code?: ErrorCode): error is SlipwayError {
  return error instanceof SlipwayError && (code === undefined || error.code === code);
}

/** The code of any thrown value: aborts are `cancelled`, timeouts `deadline`, a full disk `exhausted`, the rest `internal`. */
export function errorCode(error: unknown): ErrorCode {
  if (error instanceof SlipwayError) return error.code;
  if (error instanceof Error) {
    if (error.name === "AbortError") return "cancelled";
    if (error.name === "TimeoutError") return "deadline";
    const errno = (error as NodeJS.ErrnoException).code;
    if (errno === "ENOSPC" || errno === "EDQUOT" || errno === "SQLITE_FULL") return "exhausted";
  }
  return "internal";
}

/** The message of any thrown value, without a stack. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Message and hint in the one form that every face prints: what failed, why, what to do. */
export function describeError(error: unknown): string {
  const hint = error instanceof SlipwayError ? error.hint : undefined;
  return hint === undefined ? errorMessage(error) : `${errorMessage(error)}\n${hint}`;
}

/** The errno name (`ENOENT`) of a system error, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = (error as NodeJS.ErrnoException).code;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}
