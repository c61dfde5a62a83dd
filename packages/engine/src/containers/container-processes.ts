import { SlipwayError } from "@slipway/base";
import { Cgroup, cgroupsPath } from "@slipway/runtime";
import type { ContainerDefinition } from "./container-table.ts";

/** The process IDs of a container, in the host's numbers. */
export function containerProcesses({ id, hostConfig }: Pick<ContainerDefinition, "id" | "hostConfig">): Set<number> {
  return new Set(new Cgroup(cgroupsPath(id, hostConfig.CgroupParent || undefined)).processes());
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
