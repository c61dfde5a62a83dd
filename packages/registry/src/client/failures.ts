import { SlipwayError } from "@slipway/base";

/** What a registry says went wrong (distribution specification, "Error Codes"), bounded. */
export interface RegistryProblem {
  readonly code: string;
  readonly message: string;
}

/** Longest body of an error that is read, bytes. */
export const MOST_ERROR_BYTES = 64 * 1024;
const LONGEST_MESSAGE = 500;

/** The problems in an error's body: the specification's form, a token service's, or none. */
export function readProblems(body: string): RegistryProblem[] {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return [];
  }
  if (typeof document !== "object" || document === null) return [];
  const { errors, details, message, error } = document as Record<string, unknown>;
  if (Array.isArray(errors)) {
    return errors.slice(0, 10).flatMap((entry: unknown) => {
      if (typeof entry !== "object" || entry === null) return [];
      const { code, message: text } = entry as Record<string, unknown>;
      return [
        {
          code: typeof code === "string" ? clean(code) : "UNKNOWN",
          message: typeof text === "string" ? clean(text) : "",
        },
      ];
    });
  }
  const text = [details, message, error].find((value) => typeof value === "string");
  return typeof text === "string" ? [{ code: "", message: clean(text) }] : [];
}

/** Text from a registry for a terminal: one line, no control characters, not endless. */
function clean(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim();
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}...` : line;
}

/** As Docker prints it: `manifest unknown: manifest unknown`. */
export function describeProblem({ code, message }: RegistryProblem): string {
  const kind = code.toLowerCase().replaceAll("_", " ");
  return [kind, message].filter(Boolean).join(": ");
}

/** An answer that is a refusal, as an error with the status and the codes in its details. */
export function refusal(what: string, status: number, body: string): SlipwayError {
  const problems = readProblems(body);
  const said = problems.map(describeProblem).join(", ");
  const message = said || `unexpected status ${status} from ${what}`;
  const codes = problems.map(({ code }) => code);
  return new SlipwayError(kindOf(status, codes), message, {
    ...hintFor(status),
    details: { status, codes },
  });
}

function kindOf(status: number, codes: readonly string[]): SlipwayError["code"] {
  if (status === 401) return "unauthorized";
  if (status === 403 || codes.includes("DENIED")) return "forbidden";
  if (status === 404 || status === 410) return "not-found";
  if (status === 429 || status >= 500) return "unavailable";
  if (status === 413) return "exhausted";
  return status === 501 ? "not-implemented" : "invalid";
}

function hintFor(status: number): { hint?: string } {
  if (status === 429) return { hint: "The registry limits requests. Log in, or wait and try again." };
  if (status >= 500) return { hint: "The registry has a problem of its own. Try again later." };
  return {};
}

/** Codes and status of a refusal, for callers that treat some of them. */
export function refusedWith(
  error: unknown,
): { readonly status: number; readonly codes: readonly string[] } | undefined {
  if (!(error instanceof SlipwayError)) return undefined;
  const { status, codes } = error.details;
  return typeof status === "number" && Array.isArray(codes) ? { status, codes: codes as string[] } : undefined;
}
