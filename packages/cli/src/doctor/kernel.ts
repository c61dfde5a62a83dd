import { release } from "node:os";
import { type Finding, fail, ok, warn } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** The new mount API came with 5.2, `openat2` with 5.6, overlays' `userxattr` with 5.11. */
const OLDEST: readonly [number, number] = [5, 11];
const NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

export function checkKernel(machine: Machine, version = release()): Finding[] {
  return [kernelVersion(version), namespaces(machine), overlay(machine), seccomp(machine), ...sysctls(machine)];
}

function kernelVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  if (!isOld) return ok("kernel", `Linux ${version}`);
  return fail(
    "kernel",
    `Linux ${version} is too old: ${OLDEST.join(".")} is needed`,
    "Install a newer kernel and reboot.",
  );
}

function namespaces(machine: Machine): Finding {
  const present = machine.list("/proc/self/ns");
  const missing = NAMESPACES.filter((name) => !present.includes(name));
  if (missing.length === 0) return ok("namespaces", NAMESPACES.join(" "));
  const options = missing.map((name) => `CONFIG_${name === "mnt" ? "NAMESPACES" : `${name.toUpperCase()}_NS`}`);
  return fail("namespaces", `missing: ${missing.join(" ")}`, `Boot a kernel that has ${options.join(", ")}.`);
}

function overlay(machine: Machine): Finding {
  const known = machine
    .read("/proc/filesystems")
    ?.split("\n")
    .some((line) => line.trim().split(/\s+/).at(-1) === "overlay");
  if (known) return ok("overlayfs", "the kernel has it");
  return fail("overlayfs", "the kernel does not have it, or it is not loaded", "Load it: modprobe overlay");
}

function seccomp(machine: Machine): Finding {
  if (machine.has("/proc/sys/kernel/seccomp/actions_avail")) return ok("seccomp", "system calls can be filtered");
  return warn(
    "seccomp",
    "the kernel cannot filter system calls: containers may use all of them",
    "Boot a kernel with CONFIG_SECCOMP_FILTER.",
  );
}

function sysctls(machine: Machine): Finding[] {
  const findings: Finding[] = [];
  const instances = Number(machine.read("/proc/sys/fs/inotify/max_user_instances") ?? Number.NaN);
  if (instances < 256) {
    findings.push(
      warn(
        "inotify",
        `only ${instances} inotify instances a user: programs that watch files will fail in many containers`,
        "sysctl -w fs.inotify.max_user_instances=1024",
      ),
    );
  }
  const processes = Number(machine.read("/proc/sys/kernel/pid_max") ?? Number.NaN);
  if (processes < 32768) {
    findings.push(warn("pid_max", `only ${processes} processes`, "sysctl -w kernel.pid_max=4194304"));
  }
  return findings;
}
