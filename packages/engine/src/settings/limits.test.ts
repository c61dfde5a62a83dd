import { describe, expect, test } from "bun:test";
import { type CgroupAbilities, readCgroupAbilities } from "@slipway/runtime";
import type { HostConfig } from "../faces.ts";
import { resourcesOf } from "./container-spec.ts";
import { checkHostConfig } from "./host-config.ts";
import { applicableLimits, checkLimits } from "./limits.ts";

const nothing = readCgroupAbilities("/nonexistent");
const everything: CgroupAbilities = {
  ...(Object.fromEntries(Object.keys(nothing).map((name) => [name, true])) as unknown as CgroupAbilities),
  cpus: "0-3",
  memoryNodes: "0",
};

const disk = (value: number) => [{ Path: "/dev/sda", Rate: value }];

describe("what the kernel can hold", () => {
  const all: HostConfig = {
    Memory: 1 << 26,
    MemorySwap: 1 << 27,
    MemoryReservation: 1 << 25,
    MemorySwappiness: 10,
    OomKillDisable: true,
    CpuShares: 10,
    CpuPeriod: 10_000,
    CpuQuota: 5_000,
    CpusetCpus: "0-1",
    PidsLimit: 5,
    BlkioWeight: 300,
    BlkioWeightDevice: [{ Path: "/dev/sda", Weight: 20 }],
    BlkioDeviceReadBps: disk(1),
    BlkioDeviceWriteBps: disk(2),
    BlkioDeviceReadIOps: disk(3),
    BlkioDeviceWriteIOps: disk(4),
  };

  test("stays as it was asked for", () => {
    expect(applicableLimits(all, everything)).toEqual({ limits: all, warnings: [] });
  });

  test("is all that stays: the rest is discarded, each with Docker's warning", () => {
    const { limits, warnings } = applicableLimits(all, nothing);
    expect(limits).toEqual({});
    expect(warnings).toEqual([
      "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
      "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
      "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
      "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
      "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
      "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
      "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
      "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
      "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
      "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
      "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.",
      "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
      "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.",
      "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
    ]);
  });

  test("without accounting of swap the memory limit holds alone", () => {
    const { limits, warnings } = applicableLimits(
      { Memory: 1 << 26, MemorySwap: 1 << 27 },
      { ...everything, swap: false },
    );
    expect(limits).toEqual({ Memory: 1 << 26, MemorySwap: -1 });
    expect(warnings).toEqual([
      "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
    ]);
  });

  test("limits of the past and of other systems are discarded everywhere", () => {
    const given: HostConfig = { KernelMemory: 1 << 26, KernelMemoryTCP: 1 << 26, CpuPercent: 50 };
    const { limits, warnings } = applicableLimits(given, everything);
    expect(limits).toEqual({});
    expect(warnings).toHaveLength(3);
    expect(warnings[2]).toBe("linux does not support CPU percent. Percent discarded.");
  });

  test("no killing when memory runs out, without a limit, is warned of", () => {
    expect(applicableLimits({ OomKillDisable: true }, everything).warnings[0]).toStartWith("OOM killer is disabled");
  });

  test.each<[HostConfig, CgroupAbilities, string]>([
    [{ CpusetCpus: "0,5" }, everything, "Requested CPUs are not available - requested 0,5, available: 0-3"],
    [{ CpusetCpus: "2-4" }, everything, "Requested CPUs are not available"],
    [{ CpusetMems: "1" }, everything, "Requested memory nodes are not available - requested 1, available: 0"],
    [{ CpuRealtimeRuntime: 10 }, nothing, "kernel does not support CPU real-time scheduler"],
    [{ NanoCpus: 1e8 }, nothing, "NanoCPUs can not be set"],
  ])("%j is refused rather than forgotten", (given, can, message) => {
    expect(() => applicableLimits(given, can)).toThrow(message);
  });
});

test.each<[HostConfig, string]>([
  [{ BlkioWeight: 5 }, "Range of blkio weight is from 10 to 1000"],
  [{ BlkioWeightDevice: [{ Path: "/dev/sda", Weight: 2000 }] }, "invalid weight for device: /dev/sda:2000"],
  [{ BlkioDeviceReadBps: disk(-1) }, "invalid rate for device: /dev/sda"],
  [
    { CpuRealtimePeriod: 10, CpuRealtimeRuntime: 20 },
    "cpu real-time runtime cannot be higher than cpu real-time period",
  ],
  [{ MemorySwappiness: 101 }, "valid memory swappiness range is 0-100"],
])("%j is no limit", (given, message) => {
  expect(() => checkLimits(given, { update: false })).toThrow(message);
});

test.each<[HostConfig, string]>([
  [{ DeviceCgroupRules: ["x 1:1 r"] }, "invalid device cgroup rule format: 'x 1:1 r'"],
  [{ Isolation: "hyperv" }, "invalid isolation (hyperv): linux only supports 'default'"],
  [{ IOMaximumIOps: 1 }, "invalid QoS settings"],
  [
    { DeviceRequests: [{ Driver: "", Count: -1, DeviceIDs: [], Capabilities: [["gpu"]], Options: {} }] },
    'could not select device driver "" with capabilities: [[gpu]]',
  ],
  [{ Sysctls: { "vm.swappiness": "1" } }, 'sysctl "vm.swappiness" is not in a separate kernel namespace'],
  [
    { NetworkMode: "host", Sysctls: { "net.core.somaxconn": "1" } },
    'sysctl "net.core.somaxconn" not allowed in host network namespace',
  ],
  [{ IpcMode: "host", Sysctls: { "kernel.shmmax": "1" } }, 'sysctl "kernel.shmmax" not allowed in host ipc namespace'],
  [{ UsernsMode: "remap" }, "invalid userns mode: remap"],
  [{ StorageOpt: { size: "1g" } }, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"],
  [{ Runtime: "kata" }, "unknown or invalid runtime name: kata"],
])("%j can make no container", (given, message) => {
  expect(() => checkHostConfig(given)).toThrow(message);
});

test("every limit reaches the runtime in its own words", () => {
  expect(
    resourcesOf({
      Memory: 100,
      MemorySwap: -1,
      CpuRealtimePeriod: 7,
      CpuRealtimeRuntime: 3,
      BlkioWeightDevice: [{ Path: "/dev/sda", Weight: 20 }],
      BlkioDeviceWriteIOps: disk(4),
    }),
  ).toEqual({
    memory: 100,
    memorySwap: -1,
    cpuRealtimePeriod: 7,
    cpuRealtimeRuntime: 3,
    blkioWeightDevices: [{ path: "/dev/sda", value: 20 }],
    blkioWriteIops: [{ path: "/dev/sda", value: 4 }],
  });
});
