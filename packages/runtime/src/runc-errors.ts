import { readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";

/** The text of the runtime's last logged error. */
export type RuntimeFailure = string;

const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const ENGINE_FAILURE = 125;

/** The last error in a log of `--log-format json`, or undefined if nothing of that level was logged. */
export function readRuntimeLog(path: string): RuntimeFailure | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  let last: string | undefined;
  for (const line of text.split("\n")) {
    const entry = parseLine(line);
    if (entry?.level === "error" || entry?.level === "fatal") last = entry.msg;
  }
  return last;
}

function parseLine(line: string): { readonly level: string; readonly msg: string } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return undefined;
    const { level, msg } = value as Record<string, unknown>;
    return typeof level === "string" && typeof msg === "string" ? { level, msg } : undefined;
  } catch {
    return undefined;
  }
}

/** How Docker begins: `run` is a create and a start to it. */
const ACTIONS: Readonly<Record<string, string>> = {
  run: "OCI runtime create failed: runc create failed",
  exec: "OCI runtime exec failed: exec failed",
};

/**
 * A runtime's failure in Docker's words and with Docker's exit code: 127 when the program does not exist, 126 when it
 * cannot be executed, 125 for everything else.
 */
export function runtimeFailure(command: string, reason: string): SlipwayError {
  const exitCode = exitCodeOf(reason);
  const cleaned =
    reason === "" ? `${command} failed without a reason` : reason.replace(/^(runc \w+|exec) failed: /, "");
  const action = ACTIONS[command] ?? `OCI runtime ${command} failed`;
  return new SlipwayError(exitCode === ENGINE_FAILURE ? "internal" : "invalid", `${action}: ${cleaned}: unknown`, {
    ...hintOf(cleaned),
    details: { exitCode, reason: cleaned },
  });
}

/** The same reasoning on the text as Docker's own (daemon/start.go): the runtimes give nothing else. */
function exitCodeOf(reason: string): number {
  const lower = reason.toLowerCase();
  const program =
    /exec: |executable file|starting container process|exec failed|unable to start container process/.test(lower);
  if (/executable file not found|no such file or directory|system cannot find the file/.test(lower) && program) {
    return NOT_FOUND;
  }
  if (
    /permission denied|not a directory|is a directory|exec format error|operation not permitted/.test(lower) &&
    program
  ) {
    return NOT_EXECUTABLE;
  }
  return ENGINE_FAILURE;
}

function hintOf(reason: string): { hint?: string } {
  if (/executable file not found/.test(reason)) {
    return { hint: "Check the spelling, and that the image contains the program." };
  }
  if (/exec format error/.test(reason)) {
    return { hint: "The program is of another architecture, or a script without its #! line." };
  }
  return {};
}
