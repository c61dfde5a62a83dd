import { mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { SlipwayError, writeFileAtomic } from "@slipway/base";

/** Writes the process ID. Throws `conflict` when the file names another daemon that is alive. */
export function writePidfile(path: string): void {
  const other = readPid(path);
  if (other !== undefined && other !== process.pid && isDaemon(other)) {
    throw new SlipwayError("conflict", `process ID file ${path} found: a daemon is running as process ${other}`, {
      hint: "Stop that one, or give this one a --pidfile of its own.",
    });
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileAtomic(path, `${process.pid}\n`, { durable: false });
}

/** Removes the file if it is still ours. */
export function removePidfile(path: string): void {
  if (readPid(path) === process.pid) unlinkSync(path);
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** After a reboot the number may belong to anybody: only a process with our executable and command counts. */
function isDaemon(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.includes("daemon") && words.some((word) => /slipway|bun/.test(word));
  } catch {
    return false;
  }
}
