import { type Finding, fail, ok, warn } from "./finding.ts";
import type { Machine } from "./machine.ts";

const ROOT = "/sys/fs/cgroup";
/** What limits are made of; `io` is called `blkio` in version 1. */
const CONTROLLERS = ["cpu", "cpuset", "io", "memory", "pids"];

export function checkCgroups(machine: Machine): Finding[] {
  const unified = machine.read(`${ROOT}/cgroup.controllers`);
  return unified === undefined ? versionOne(machine) : versionTwo(machine, unified.split(/\s+/));
}

function versionTwo(machine: Machine, controllers: readonly string[]): Finding[] {
  const missing = CONTROLLERS.filter((name) => !controllers.includes(name));
  if (missing.length === 0) return [ok("cgroups", `version 2 with ${controllers.join(" ")}`), ...freezer(machine)];
  return [
    warn(
      "cgroups",
      `version 2 without ${missing.join(" ")}: limits on ${missing.join(" and ")} are not kept`,
      "Enable them in the parent's cgroup.subtree_control, or boot without cgroup_disable=.",
    ),
  ];
}

function freezer(machine: Machine): Finding[] {
  // Only cgroups below the root have it; without any there is nothing to say.
  const [some] = machine.list(ROOT).filter((name) => machine.read(`${ROOT}/${name}/cgroup.procs`) !== undefined);
  if (some === undefined || machine.has(`${ROOT}/${some}/cgroup.freeze`)) return [];
  return [warn("freezer", "cgroups cannot be frozen: pause will not work", "Boot Linux 5.2 or newer.")];
}

function versionOne(machine: Machine): Finding[] {
  const hierarchies = machine.list(ROOT).flatMap((name) => name.split(","));
  if (hierarchies.length === 0) {
    return [fail("cgroups", `nothing is mounted at ${ROOT}`, `mount -t cgroup2 none ${ROOT}`)];
  }
  const wanted = [...CONTROLLERS.map((name) => (name === "io" ? "blkio" : name)), "devices", "freezer"];
  const missing = wanted.filter((name) => !hierarchies.includes(name));
  const swap = machine.has(`${ROOT}/memory/memory.memsw.limit_in_bytes`);
  return [
    missing.length === 0
      ? ok("cgroups", "version 1, all controllers")
      : warn("cgroups", `version 1 without ${missing.join(" ")}`, "Mount them, or boot with the unified hierarchy."),
    ...(swap || missing.includes("memory")
      ? []
      : [warn("swap limit", "swap is not accounted: --memory-swap is not kept", "Boot with swapaccount=1.")]),
  ];
}
