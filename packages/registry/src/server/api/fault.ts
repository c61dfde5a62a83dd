import { type ErrorCode, errorCode, SlipwayError } from "@slipway/base";

/** The codes of the distribution specification (1.1, "Error Codes"), each with the kind of failure and its HTTP status. */
const FAULTS = {
  BLOB_UNKNOWN: ["not-found", 404],
  BLOB_UPLOAD_INVALID: ["invalid", 400],
  BLOB_UPLOAD_UNKNOWN: ["not-found", 404],
  DIGEST_INVALID: ["invalid", 400],
  MANIFEST_BLOB_UNKNOWN: ["invalid", 404],
  MANIFEST_INVALID: ["invalid", 400],
  MANIFEST_UNKNOWN: ["not-found", 404],
  NAME_INVALID: ["invalid", 400],
  NAME_UNKNOWN: ["not-found", 404],
  SIZE_INVALID: ["invalid", 400],
  RANGE_INVALID: ["conflict", 416],
  PAGINATION_NUMBER_INVALID: ["invalid", 400],
  TAG_INVALID: ["invalid", 400],
  NOT_FOUND: ["not-found", 404],
  UNAUTHORIZED: ["unauthorized", 401],
  DENIED: ["forbidden", 403],
  UNSUPPORTED: ["invalid", 405],
  TOOMANYREQUESTS: ["exhausted", 429],
  TOO_LARGE: ["exhausted", 413],
  QUOTA_EXCEEDED: ["exhausted", 403],
  UNAVAILABLE: ["unavailable", 503],
  UNKNOWN: ["internal", 500],
} as const satisfies Record<string, readonly [ErrorCode, number]>;

export type FaultCode = keyof typeof FAULTS;

/** Codes that only we have are sent as the specification's nearest. */
const ON_THE_WIRE: Partial<Record<FaultCode, string>> = {
  RANGE_INVALID: "BLOB_UPLOAD_INVALID",
  TOO_LARGE: "SIZE_INVALID",
  QUOTA_EXCEEDED: "DENIED",
  TAG_INVALID: "MANIFEST_INVALID",
  NOT_FOUND: "UNSUPPORTED",
};

export interface FaultOptions {
  readonly detail?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error that is answered with a code of the specification. */
export function fault(code: FaultCode, message: string, options: FaultOptions = {}): SlipwayError {
  const { detail, headers, cause } = options;
  return new SlipwayError(FAULTS[code][0], message, { cause, details: { fault: code, detail, headers } });
}

/** The answer for any thrown value. What is not a fault of the client's says nothing of our inside. */
export function faultResponse(error: unknown): Response {
  const details = error instanceof SlipwayError ? error.details : {};
  const code = isFault(details.fault) ? details.fault : faultOf(error);
  const message = code === "UNKNOWN" ? "internal error" : (error as Error).message;
  const headers = (details.headers ?? {}) as Record<string, string>;
  const body = { errors: [{ code: ON_THE_WIRE[code] ?? code, message, detail: details.detail ?? null }] };
  return Response.json(body, { status: FAULTS[code][1], headers });
}

function isFault(code: unknown): code is FaultCode {
  return typeof code === "string" && Object.hasOwn(FAULTS, code);
}

/** Whether this is a failure of ours, for the log. */
export function isInternal(error: unknown): boolean {
  const code = errorCode(error);
  return code === "internal" || code === "unavailable" || code === "corrupt";
}

function faultOf(error: unknown): FaultCode {
  switch (errorCode(error)) {
    case "unavailable":
    case "exhausted":
    case "deadline":
    case "cancelled":
      return "UNAVAILABLE";
    case "unauthorized":
      return "UNAUTHORIZED";
    case "forbidden":
      return "DENIED";
    default:
      return "UNKNOWN";
  }
}
