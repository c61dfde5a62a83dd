import type { ApiVersion } from "../api-version.ts";
import type { StatsSample } from "../backend.ts";
import { nanoTimestamp, ZERO_TIME } from "./time.ts";

type Document = Record<string, unknown>;
type Usage = NonNullable<StatsSample["usage"]>;

/** `GET /containers/{id}/stats`. The measurement before gives clients the difference that they show as a percentage. */
export function statsDocument(sample: StatsSample, before: StatsSample | undefined, version: ApiVersion): Document {
  const { usage, cgroupVersion } = sample;
  const previous = before?.usage;
  return {
    name: `/${sample.name}`,
    id: sample.id,
    read: usage === undefined ? ZERO_TIME : nanoTimestamp(usage.time),
    preread: previous === undefined ? ZERO_TIME : nanoTimestamp(previous.time),
    pids_stats: usage === undefined ? {} : pidsDocument(usage),
    blkio_stats: blockIoDocument(usage, cgroupVersion),
    ...(version >= 52 && { os_type: "linux" }),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuDocument(usage),
    precpu_stats: cpuDocument(previous),
    memory_stats: usage === undefined ? {} : memoryDocument(usage),
    ...(usage !== undefined && usage.interfaces.length > 0 && { networks: networkDocuments(usage) }),
  };
}

function pidsDocument({ pids }: Usage): Document {
  return { current: pids.current, ...(pids.limit !== undefined && { limit: pids.limit }) };
}

/** Docker's lists of what the kernel does not tell are null with cgroup v2, and empty with v1. */
function blockIoDocument(usage: Usage | undefined, cgroupVersion: 1 | 2): Document {
  const none = usage === undefined || cgroupVersion === 2 ? null : [];
  const list = (amount: "bytes" | "operations") => {
    const entries = (usage?.blockIo ?? []).map((entry) => ({
      major: entry.major,
      minor: entry.minor,
      op: cgroupVersion === 2 ? entry.op : entry.op === "read" ? "Read" : "Write",
      value: entry[amount],
    }));
    return entries.length === 0 ? none : entries;
  };
  return {
    io_service_bytes_recursive: list("bytes"),
    io_serviced_recursive: list("operations"),
    io_queue_recursive: none,
    io_service_time_recursive: none,
    io_wait_time_recursive: none,
    io_merged_recursive: none,
    io_time_recursive: none,
    sectors_recursive: none,
  };
}

function cpuDocument(usage: Usage | undefined): Document {
  const throttling = usage?.cpu.throttling;
  return {
    cpu_usage: {
      total_usage: usage?.cpu.total ?? 0,
      ...(usage !== undefined && usage.cpu.perCpu.length > 0 && { percpu_usage: usage.cpu.perCpu }),
      usage_in_kernelmode: usage?.cpu.system ?? 0,
      usage_in_usermode: usage?.cpu.user ?? 0,
    },
    ...(usage && { system_cpu_usage: usage.systemCpu, online_cpus: usage.onlineCpus }),
    throttling_data: {
      periods: throttling?.periods ?? 0,
      throttled_periods: throttling?.throttledPeriods ?? 0,
      throttled_time: throttling?.throttledTime ?? 0,
    },
  };
}

function memoryDocument({ memory, machineMemory }: Usage): Document {
  return {
    usage: memory.usage,
    ...(memory.maxUsage !== undefined && { max_usage: memory.maxUsage }),
    stats: memory.stats,
    ...(memory.failures > 0 && { failcnt: memory.failures }),
    // Without a limit of its own a container may use what the machine has.
    limit: Math.min(memory.limit ?? machineMemory, machineMemory),
  };
}

function networkDocuments({ interfaces }: Usage): Document {
  return Object.fromEntries(
    interfaces.map(({ name, received, sent }) => [
      name,
      {
        rx_bytes: received.bytes,
        rx_packets: received.packets,
        rx_errors: received.errors,
        rx_dropped: received.dropped,
        tx_bytes: sent.bytes,
        tx_packets: sent.packets,
        tx_errors: sent.errors,
        tx_dropped: sent.dropped,
      },
    ]),
  );
}
