import { openSync } from "node:fs";
import { closeFd, pidfdOpen, READY, spawnProcess, waitPid } from "@slipway/sys";
import { RUNTIME_ENVIRONMENT, type Runc } from "../runc.ts";
import type { Loop } from "./loop.ts";
import { reapOrphans } from "./orphans.ts";

/** Starts the runtime and calls back with its exit code. */
export function startRuntime(
  loop: Loop,
  runc: Runc,
  command: {
    readonly log: string;
    readonly args: readonly string[];
    readonly stdio?: readonly [number, number, number];
    readonly onExit: (exitCode: number) => void;
  },
): void {
  const nothing = command.stdio === undefined ? openSync("/dev/null", "r+") : -1;
  const stdio = command.stdio ?? ([nothing, nothing, nothing] as const);
  try {
    const args = ["--root", runc.root, "--log", command.log, "--log-format", "json", ...command.args];
    const pid = spawnProcess(runc.program, args, { env: RUNTIME_ENVIRONMENT, stdio });
    const pidfd = pidfdOpen(pid);
    loop.watch(pidfd, READY.in, () => {
      const exit = waitPid(pid);
      if (exit === undefined) return;
      loop.unwatch(pidfd);
      closeFd(pidfd);
      if (exit.exitCode !== 0) reapOrphans();
      command.onExit(exit.exitCode);
    });
  } finally {
    if (nothing >= 0) closeFd(nothing);
  }
}
