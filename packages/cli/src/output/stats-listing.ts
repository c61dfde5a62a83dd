import { binarySize, humanSize } from "@slipway/base";
import type { Listing } from "./listing.ts";
import { truncateId } from "./text.ts";

/** What the engine measured of one container; see `GET /containers/{id}/stats`. All of it may be absent. */
export interface StatsDocument {
  readonly name?: string;
  readonly id?: string;
  readonly pids_stats?: { readonly current?: number };
  readonly blkio_stats?: {
    readonly io_service_bytes_recursive?: readonly { readonly op: string; readonly value: number }[] | null;
  };
  readonly cpu_stats?: CpuDocument;
  readonly precpu_stats?: CpuDocument;
  readonly memory_stats?: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>>;
}

interface CpuDocument {
  readonly cpu_usage?: { readonly total_usage?: number; readonly percpu_usage?: readonly number[] | null };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
}

export interface StatsRow {
  /** As it was asked for. */
  readonly container: string;
  /** Undefined until the first measurement has come. */
  readonly stats: StatsDocument | undefined;
  readonly truncate: boolean;
}

const UNKNOWN = "--";

export const STATS_LISTING: Listing<StatsRow> = {
  type: "*container.statsContext",
  fields: {
    Container: { heading: "CONTAINER", value: ({ container }) => container },
    Name: { heading: "NAME", value: ({ stats }) => stats?.name?.replace(/^\//, "") || UNKNOWN },
    ID: {
      heading: "CONTAINER ID",
      value: ({ stats, truncate }) => (truncate ? truncateId(stats?.id ?? "") : (stats?.id ?? "")) || UNKNOWN,
    },
    CPUPerc: { heading: "CPU %", value: ({ stats }) => (stats ? percent(cpuPercent(stats)) : UNKNOWN) },
    MemUsage: {
      heading: "MEM USAGE / LIMIT",
      value: ({ stats }) =>
        stats
          ? `${binarySize(memoryUsage(stats))} / ${binarySize(stats.memory_stats?.limit ?? 0)}`
          : `${UNKNOWN} / ${UNKNOWN}`,
    },
    MemPerc: { heading: "MEM %", value: ({ stats }) => (stats ? percent(memoryPercent(stats)) : UNKNOWN) },
    NetIO: { heading: "NET I/O", value: ({ stats }) => (stats ? pair(networkBytes(stats)) : UNKNOWN) },
    BlockIO: { heading: "BLOCK I/O", value: ({ stats }) => (stats ? pair(blockBytes(stats)) : UNKNOWN) },
    PIDs: { heading: "PIDS", value: ({ stats }) => (stats ? String(stats.pids_stats?.current ?? 0) : UNKNOWN) },
  },
  table: ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
  quiet: "ID",
};

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

function pair([into, out]: readonly [number, number]): string {
  return `${humanSize(into, 3)} / ${humanSize(out, 3)}`;
}

/** The container's part of the time that the machine's CPUs passed between two measurements; 100 is one CPU. */
export function cpuPercent({ cpu_stats: now, precpu_stats: before }: StatsDocument): number {
  const used = (now?.cpu_usage?.total_usage ?? 0) - (before?.cpu_usage?.total_usage ?? 0);
  const passed = (now?.system_cpu_usage ?? 0) - (before?.system_cpu_usage ?? 0);
  const cpus = now?.online_cpus || now?.cpu_usage?.percpu_usage?.length || 0;
  return used > 0 && passed > 0 ? (used / passed) * cpus * 100 : 0;
}

/** Bytes in use without the page cache that the kernel can drop at once; its name tells the version of cgroups. */
export function memoryUsage({ memory_stats: memory }: StatsDocument): number {
  const usage = memory?.usage ?? 0;
  for (const cache of [memory?.stats?.total_inactive_file, memory?.stats?.inactive_file]) {
    if (cache !== undefined && cache < usage) return usage - cache;
  }
  return usage;
}

function memoryPercent(stats: StatsDocument): number {
  const limit = stats.memory_stats?.limit ?? 0;
  return limit === 0 ? 0 : (memoryUsage(stats) / limit) * 100;
}

function networkBytes({ networks = {} }: StatsDocument): [number, number] {
  const all = Object.values(networks);
  return [all.reduce((sum, { rx_bytes }) => sum + rx_bytes, 0), all.reduce((sum, { tx_bytes }) => sum + tx_bytes, 0)];
}

/** The operations are `Read` or `read`, by the version of cgroups; others are sums of these two. */
function blockBytes({ blkio_stats: blockIo }: StatsDocument): [number, number] {
  const sum = (letter: string) =>
    (blockIo?.io_service_bytes_recursive ?? [])
      .filter(({ op }) => op[0]?.toLowerCase() === letter)
      .reduce((total, { value }) => total + value, 0);
  return [sum("r"), sum("w")];
}
