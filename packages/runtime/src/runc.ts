import { readFileSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { type RuntimeFailure, readRuntimeLog, runtimeFailure } from "./runc-errors.ts";

/**
 * One collection is enough for a program that lives for milliseconds: without the garbage collector runc starts about a
 * millisecond sooner. Nothing of our own environment may reach it, least of all RUNC_ or NOTIFY_SOCKET.
 */
export const RUNTIME_ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  GOGC: "off",
};

const PROGRAMS = ["runc", "crun"];

/** The path of the OCI runtime. Throws `unavailable` when none is installed. */
export function findRuntime(path = process.env.PATH ?? RUNTIME_ENVIRONMENT.PATH): string {
  for (const name of PROGRAMS) {
    // Services often start without the sbin directories, where Debian keeps runc.
    const found = Bun.which(name, { PATH: `${path}:${RUNTIME_ENVIRONMENT.PATH}` });
    if (found !== null) return found;
  }
  throw new SlipwayError("unavailable", "no OCI runtime is installed: neither runc nor crun is on the PATH", {
    hint: "Install it: apt-get install runc",
  });
}

export type SpawnTarget = "ignore" | "pipe" | number;

export interface RunOptions {
  readonly stdin?: SpawnTarget;
  readonly stdout?: SpawnTarget;
  readonly stderr?: SpawnTarget;
  readonly cwd?: string;
}

/** Drives one runtime program with one state directory; engines with different directories don't see each other. */
export class Runc {
  readonly program: string;
  readonly root: string;

  constructor(root: string, program: string = findRuntime()) {
    this.root = root;
    this.program = program;
  }

  /** Starts a command; `logPath` receives the runtime's own messages as JSON lines. */
  spawn<Out extends SpawnTarget, Err extends SpawnTarget>(
    logPath: string,
    command: readonly string[],
    options: { readonly stdin?: SpawnTarget; readonly stdout: Out; readonly stderr: Err },
  ): Bun.Subprocess<"ignore", Out, Err> {
    return Bun.spawn({
      cmd: [this.program, "--root", this.root, "--log", logPath, "--log-format", "json", ...command],
      stdin: (options.stdin ?? "ignore") as "ignore",
      stdout: options.stdout,
      stderr: options.stderr,
      env: RUNTIME_ENVIRONMENT,
      cwd: "/",
    });
  }

  /** Runs a command to its end. Throws the runtime's own reason. */
  async run(logPath: string, command: readonly string[]): Promise<void> {
    const child = this.spawn(logPath, command, { stdout: "ignore", stderr: "pipe" });
    const [text, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    if (code !== 0) throw this.failure(logPath, command[0] ?? "", text);
  }

  /** The reason of a failed command as an error, with `details.exitCode` as Docker would have it. */
  failure(logPath: string, command: string, stderr = ""): SlipwayError {
    return runtimeFailure(command, readRuntimeLog(logPath) ?? stderr.trim());
  }

  /** What the runtime logged as an error, or undefined if it did not. */
  loggedFailure(logPath: string, command: string): SlipwayError | undefined {
    const reason: RuntimeFailure | undefined = readRuntimeLog(logPath);
    return reason === undefined ? undefined : runtimeFailure(command, reason);
  }
}

/** The pid that a runtime wrote, or undefined if it has not yet. */
export function readPidFile(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "latin1"));
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
