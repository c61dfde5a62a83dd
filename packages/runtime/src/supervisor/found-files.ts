/** What a supervisor finds on disk of itself or of a predecessor. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { SlipwayError } from "@slipway/base";
import { Cgroup } from "../cgroup.ts";
import { openOutputFifo } from "./output-pipe.ts";
import type { StdioDescriptors } from "./stdio.ts";
import type { ProcessMeta } from "./supervised-process.ts";
import type { ProcessPaths } from "./supervisor-paths.ts";

/**
 * The cgroup that a bundle asks for. A search instead of a parser: the document is mostly the seccomp profile, and this
 * process keeps small by not making thousands of objects for each start. Users name annotations as they like, but a key that
 * holds an object is ours: all processes of the cgroup found here are killed at the container's end.
 */
export function cgroupOf(bundle: string): Cgroup {
  const text = readFileSync(`${bundle}/config.json`, "utf8");
  const quoted = /"linux":\{"cgroupsPath":("(?:[^"\\]|\\.)*")/.exec(text)?.[1];
  const path = quoted === undefined ? parsedCgroup(text) : (JSON.parse(quoted) as string);
  if (typeof path !== "string") throw new SlipwayError("invalid", `${bundle}/config.json names no cgroup`);
  return new Cgroup(path);
}

/** Of a document that was written otherwise, by an older engine. */
function parsedCgroup(text: string): unknown {
  return (JSON.parse(text) as { linux?: { cgroupsPath?: unknown } }).linux?.cgroupsPath;
}

export function named(entry: { readonly label: string; readonly fds: readonly number[] }): StdioDescriptors {
  const names = (entry.label.split(" ")[1] ?? "").split(",");
  return Object.fromEntries(names.map((name, index) => [name, entry.fds[index]]));
}

/** Without a keeper the pipes are still there while the container runs; a terminal is not. */
export function reopen(meta: ProcessMeta, paths: ProcessPaths): StdioDescriptors {
  if (meta.terminal) return {};
  try {
    return { stdout: openOutputFifo(paths.stdout), stderr: openOutputFifo(paths.stderr) };
  } catch {
    return {};
  }
}

export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    return undefined;
  }
}

export function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

export function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
