import { describeError, type ErrorCode, errorCode, errorMessage, SlipwayError } from "@slipway/base";
import { json, type Reply } from "./http/reply.ts";

const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  "not-found": 404,
  "already-exists": 409,
  conflict: 409,
  "not-modified": 304,
  unauthorized: 401,
  forbidden: 403,
  corrupt: 500,
  exhausted: 500,
  unavailable: 503,
  cancelled: 500,
  deadline: 500,
  "not-implemented": 501,
  internal: 500,
};

/** The one place where failures become HTTP statuses. */
export function statusOf(error: unknown): number {
  // A registry that nobody reaches is no reason to ask this engine again later: Docker's status for it is another.
  if (error instanceof SlipwayError && error.details.connection === true) return 500;
  return STATUS[errorCode(error)];
}

const MAKE_ROOM =
  "No space is left where the engine keeps its data: slipway system trash empty, or slipway system prune --no-trash";

/** Whether the disk was full, also below what tells of it. */
function isDiskFull(error: unknown): boolean {
  if (error instanceof SlipwayError) return error.cause !== undefined && isDiskFull(error.cause);
  return errorCode(error) === "exhausted";
}

/**
 * `{"message"}` as every Docker client reads it, and what our own CLI shows besides: the code, the hint and the facts. Who
 * has mistyped a name is told the nearest one by every client: there the hint is the message's second line, too.
 */
export function errorReply(error: unknown): Reply {
  return json(statusOf(error), errorDocument(error));
}

export function errorDocument(error: unknown): Record<string, unknown> {
  const room = isDiskFull(error) ? { hint: MAKE_ROOM } : {};
  if (!(error instanceof SlipwayError)) return { message: errorMessage(error), ...room };
  const message = error.details.nearest === undefined ? error.message : describeError(error);
  const document: Record<string, unknown> = { message, ...room };
  document.code = error.code;
  if (error.hint !== undefined) document.hint = error.hint;
  if (Object.keys(error.details).length > 0) document.details = error.details;
  return document;
}
