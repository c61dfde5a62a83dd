import { SlipwayError } from "@slipway/base";
import type { Mount, Namespace, SpecInput } from "./faces.ts";
import type { SpecMount } from "./spec-document.ts";

/** Kernel interfaces that tell too much about the host, or reach its hardware. */
export const DEFAULT_MASKED_PATHS: readonly string[] = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

export const DEFAULT_READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/**
 * The mounts of a container, those of the kernel first. A user's mount replaces the default at the same place, and the
 * rest is ordered by depth so that no mount hides one that was asked for below it.
 */
export function specMounts(input: SpecInput): SpecMount[] {
  const own = input.mounts.map(userMount);
  const taken = new Set(own.map((mount) => mount.destination));
  const defaults = kernelMounts(input).filter((mount) => !taken.has(mount.destination));
  // A mount over /dev brings its own /dev/shm and /dev/mqueue, if any.
  const kept = taken.has("/dev") ? defaults.filter((mount) => !mount.destination.startsWith("/dev/")) : defaults;
  const depth = (mount: SpecMount) => mount.destination.split("/").length;
  return [...kept, ...own.sort((a, b) => depth(a) - depth(b))];
}

function kernelMounts(input: SpecInput): SpecMount[] {
  const access = input.privileged ? "rw" : "ro";
  const hardened = ["nosuid", "noexec", "nodev"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: hardened },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    sysMount(input.namespaces.network, [...hardened, access]),
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...hardened, "relatime", access] },
    ...communicationMounts(input, hardened),
  ];
}

/** A new sysfs shows the network namespace it is mounted in; without one of its own a container gets the host's bound. */
function sysMount(network: Namespace, options: string[]): SpecMount {
  return network === "host"
    ? { destination: "/sys", type: "none", source: "/sys", options: ["rbind", ...options] }
    : { destination: "/sys", type: "sysfs", source: "sysfs", options };
}

/** Message queues and shared memory belong to the IPC namespace: new, the host's, or another container's. */
function communicationMounts(input: SpecInput, hardened: string[]): SpecMount[] {
  if (input.namespaces.ipc === "host") {
    return [
      // The file system belongs to the namespace, so a new mount shows the machine's queues too, also where it has none.
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: hardened },
      { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind", ...hardened] },
    ];
  }
  const queues = { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: hardened };
  if (input.shmSize === 0) return [queues];
  const size = `size=${input.shmSize}`;
  return [queues, { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...hardened, "mode=1777", size] }];
}

function userMount(mount: Mount): SpecMount {
  const { target, source, options } = mount;
  if (!target.startsWith("/")) {
    throw new SlipwayError("invalid", `invalid mount path: '${target}' mount path must be absolute`);
  }
  const destination = target === "/" ? target : target.replace(/\/+$/, "");
  if (mount.type === "bind" || mount.type === "volume") {
    const bound = options.includes("bind") || options.includes("rbind");
    return { destination, type: "bind", source, options: bound ? options : ["rbind", ...options] };
  }
  if (mount.type === "tmpfs") {
    // The same defaults as Docker's --tmpfs; a later option wins over an earlier one.
    const defaults = ["noexec", "nosuid", "nodev"].filter((option) => !options.includes(option.slice(2)));
    return { destination, type: "tmpfs", source: source || "tmpfs", options: [...defaults, ...options] };
  }
  return { destination, type: mount.type, source, options };
}
