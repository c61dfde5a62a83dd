import { join } from "node:path";
import type { LogPolicy } from "../faces.ts";

/** The newest log file: `<id>-json.log` as Docker names it, or `<id>-local.log`. */
export function logPath(directory: string, id: string, driver: LogPolicy["driver"]): string {
  return join(directory, `${id}-${driver === "local" ? "local" : "json"}.log`);
}

/** The n-th older file; 1 is the one before the newest. */
export function rotatedPath(path: string, n: number): string {
  return n === 0 ? path : `${path}.${n}`;
}
