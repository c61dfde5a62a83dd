import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf, SlipwayError } from "@slipway/base";

/** The process IDs of a container, in the host's numbers, by the control group of its first process. */
export function containerProcesses(pid: number): Set<number> {
  const path = cgroupOf(pid);
  if (path === undefined) return new Set([pid]);
  const pids = new Set<number>();
  collect(path, pids);
  return pids;
}

/** A group that the runtime made for this container alone: of version 2, or of a hierarchy of version 1. */
function cgroupOf(pid: number): string | undefined {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  for (const wanted of ["pids", "devices", "memory", ""]) {
    for (const line of lines) {
      const [, controllers = "", path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (path === "/" || !controllers.split(",").includes(wanted)) continue;
      return join("/sys/fs/cgroup", controllers === "" ? "" : controllers, path);
    }
  }
  return undefined;
}

function collect(directory: string, pids: Set<number>): void {
  try {
    for (const line of readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n")) {
      if (line !== "") pids.add(Number(line));
    }
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) collect(join(directory, entry.name), pids);
    }
  } catch (error) {
    // A group ends with its last process.
    if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "ENODEV") throw error;
  }
}

export interface ProcessTable {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

/** `ps` on the host, cut down to these processes. Throws `invalid` for arguments that ps refuses or that hide the PID. */
export async function processTable(pids: ReadonlySet<number>, psArgs: string): Promise<ProcessTable> {
  const args = psArgs.trim() === "" ? ["-ef"] : psArgs.trim().split(/\s+/);
  const program = Bun.which("ps");
  if (program === null) {
    throw new SlipwayError("unavailable", "ps is not installed on the host", {
      hint: "Install it: apt-get install procps",
    });
  }
  const child = Bun.spawn([program, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, complaint, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (exitCode !== 0) throw new SlipwayError("invalid", `ps: ${complaint.trim().split("\n")[0] ?? "failed"}`);
  return parseProcessTable(output, pids);
}

export function parseProcessTable(output: string, pids: ReadonlySet<number>): ProcessTable {
  const [header = "", ...lines] = output.split("\n");
  const titles = header.trim().split(/\s+/);
  const column = titles.indexOf("PID");
  if (column < 0) {
    throw new SlipwayError("invalid", "Couldn't find PID field in ps output", { hint: "Ask for the column pid too." });
  }
  const processes = lines
    .map((line) => splitFields(line.trim(), titles.length))
    .filter((fields) => pids.has(Number(fields[column])));
  return { titles, processes };
}

/** The last column is the command, with its blanks. */
function splitFields(line: string, count: number): string[] {
  const fields: string[] = [];
  let rest = line;
  while (fields.length < count - 1) {
    const match = /^(\S+)\s+/.exec(rest);
    if (match?.[1] === undefined) break;
    fields.push(match[1]);
    rest = rest.slice(match[0].length);
  }
  return rest === "" ? fields : [...fields, rest];
}
