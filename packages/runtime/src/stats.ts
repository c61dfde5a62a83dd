import { type Cgroup, fieldOf } from "./cgroup.ts";

/** What a container uses now. Bytes, nanoseconds and counts since its start. */
export interface ContainerStats {
  readonly memory: {
    readonly usage: number;
    /** Page cache that the kernel can drop at once; Docker's clients subtract it. */
    readonly inactiveFile: number;
    /** Undefined when there is no limit. */
    readonly limit: number | undefined;
    readonly maxUsage: number | undefined;
    readonly stats: Readonly<Record<string, number>>;
    readonly failures: number;
  };
  readonly cpu: {
    readonly total: number;
    readonly user: number;
    readonly system: number;
    readonly perCpu: readonly number[];
    readonly throttling: {
      readonly periods: number;
      readonly throttledPeriods: number;
      readonly throttledTime: number;
    };
  };
  readonly pids: { readonly current: number; readonly limit: number | undefined };
  readonly blockIo: readonly {
    readonly major: number;
    readonly minor: number;
    readonly op: "read" | "write";
    readonly bytes: number;
    readonly operations: number;
  }[];
}

/** Limits above this are the kernel's word for "none" with version 1. */
const NO_LIMIT = 2 ** 62;
const NANOSECONDS_PER_TICK = 10_000_000;

export function readStats(cgroup: Cgroup): ContainerStats {
  return cgroup.version === 2 ? unifiedStats(cgroup) : legacyStats(cgroup);
}

function unifiedStats(cgroup: Cgroup): ContainerStats {
  const stats = flat(cgroup.read("", "memory.stat"));
  const cpu = flat(cgroup.read("", "cpu.stat"));
  const microseconds = (name: string) => (cpu[name] ?? 0) * 1000;
  return {
    memory: {
      usage: number(cgroup.read("", "memory.current")),
      inactiveFile: stats.inactive_file ?? 0,
      limit: limitOf(cgroup.read("", "memory.max")),
      maxUsage: optionalNumber(cgroup.read("", "memory.peak")),
      stats,
      failures: fieldOf(cgroup.read("", "memory.events"), "max") ?? 0,
    },
    cpu: {
      total: microseconds("usage_usec"),
      user: microseconds("user_usec"),
      system: microseconds("system_usec"),
      perCpu: [],
      throttling: {
        periods: cpu.nr_periods ?? 0,
        throttledPeriods: cpu.nr_throttled ?? 0,
        throttledTime: microseconds("throttled_usec"),
      },
    },
    pids: { current: number(cgroup.read("", "pids.current")), limit: limitOf(cgroup.read("", "pids.max")) },
    blockIo: unifiedBlockIo(cgroup.read("", "io.stat")),
  };
}

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0` */
function unifiedBlockIo(text = ""): ContainerStats["blockIo"] {
  return lines(text).flatMap((line) => {
    const [device = "", ...pairs] = line.split(" ");
    const [major = 0, minor = 0] = device.split(":").map(Number);
    const values = Object.fromEntries(pairs.map((pair) => pair.split("=")));
    const value = (name: string) => Number(values[name] ?? 0);
    return [
      { major, minor, op: "read" as const, bytes: value("rbytes"), operations: value("rios") },
      { major, minor, op: "write" as const, bytes: value("wbytes"), operations: value("wios") },
    ];
  });
}

function legacyStats(cgroup: Cgroup): ContainerStats {
  const stats = flat(cgroup.read("memory", "memory.stat"));
  const throttling = flat(cgroup.read("cpu", "cpu.stat"));
  const ticks = flat(cgroup.read("cpuacct", "cpuacct.stat"));
  const perCpu = cgroup.read("cpuacct", "cpuacct.usage_percpu") ?? "";
  return {
    memory: {
      usage: number(cgroup.read("memory", "memory.usage_in_bytes")),
      inactiveFile: stats.total_inactive_file ?? 0,
      limit: limitOf(cgroup.read("memory", "memory.limit_in_bytes")),
      maxUsage: optionalNumber(cgroup.read("memory", "memory.max_usage_in_bytes")),
      stats,
      failures: number(cgroup.read("memory", "memory.failcnt")),
    },
    cpu: {
      total: number(cgroup.read("cpuacct", "cpuacct.usage")),
      user: (ticks.user ?? 0) * NANOSECONDS_PER_TICK,
      system: (ticks.system ?? 0) * NANOSECONDS_PER_TICK,
      perCpu: perCpu.trim().split(/\s+/).filter(Boolean).map(Number),
      throttling: {
        periods: throttling.nr_periods ?? 0,
        throttledPeriods: throttling.nr_throttled ?? 0,
        throttledTime: throttling.throttled_time ?? 0,
      },
    },
    pids: {
      current: number(cgroup.read("pids", "pids.current")),
      limit: limitOf(cgroup.read("pids", "pids.max")),
    },
    blockIo: legacyBlockIo(cgroup),
  };
}

/** `8:0 Read 4096` and so on, closed by a line `Total 4096`. */
function legacyBlockIo(cgroup: Cgroup): ContainerStats["blockIo"] {
  const values = (file: string) =>
    new Map(
      lines(cgroup.read("blkio", file) ?? "").map((line) => {
        const [device, op, value] = line.split(" ");
        return [`${device} ${op}`, Number(value)];
      }),
    );
  // With what the cgroups below have used, where the kernel counts that (since Linux 5.5).
  const counted = (file: string) => {
    const all = values(`${file}_recursive`);
    return all.size > 0 ? all : values(file);
  };
  const bytes = counted("blkio.throttle.io_service_bytes");
  const operations = counted("blkio.throttle.io_serviced");
  return [...bytes].flatMap(([key, value]) => {
    const match = /^(\d+):(\d+) (Read|Write)$/.exec(key);
    if (match === null) return [];
    const op = match[3] === "Read" ? ("read" as const) : ("write" as const);
    return [
      { major: Number(match[1]), minor: Number(match[2]), op, bytes: value, operations: operations.get(key) ?? 0 },
    ];
  });
}

function lines(text: string): string[] {
  return text.split("\n").filter(Boolean);
}

function flat(text: string | undefined): Record<string, number> {
  return Object.fromEntries(
    lines(text ?? "").map((line) => {
      const space = line.indexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

function number(text: string | undefined): number {
  return optionalNumber(text) ?? 0;
}

function optionalNumber(text: string | undefined): number | undefined {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function limitOf(text: string | undefined): number | undefined {
  const value = optionalNumber(text);
  return value === undefined || value >= NO_LIMIT ? undefined : value;
}
