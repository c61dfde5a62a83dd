import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cgroup, cgroupVersion } from "./cgroup.ts";
import { parseInterfaces } from "./interface-stats.ts";
import { readStats } from "./stats.ts";

const directory = mkdtempSync(join(tmpdir(), "cgroup-"));
afterAll(() => rmSync(directory, { recursive: true }));

function tree(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(directory, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const unified = tree("unified", {
  "cgroup.controllers": "cpu memory pids io\n",
  "slipway/c/cgroup.procs": "12\n13\n",
  "slipway/c/memory.current": "4096\n",
  "slipway/c/memory.max": "max\n",
  "slipway/c/memory.stat": "anon 1000\ninactive_file 96\n",
  "slipway/c/memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n",
  "slipway/c/cpu.stat":
    "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
  "slipway/c/pids.current": "2\n",
  "slipway/c/pids.max": "100\n",
  "slipway/c/io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
});

const legacy = tree("legacy", {
  "memory/slipway/c/memory.usage_in_bytes": "8192\n",
  "memory/slipway/c/memory.limit_in_bytes": "9223372036854771712\n",
  "memory/slipway/c/memory.stat": "cache 1\ntotal_inactive_file 5\n",
  "memory/slipway/c/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
  "cpuacct/slipway/c/cpuacct.usage": "123\n",
  "cpuacct/slipway/c/cpuacct.usage_percpu": "100 23 \n",
  "cpuacct/slipway/c/cpuacct.stat": "user 2\nsystem 1\n",
  "pids/slipway/c/pids.current": "1\n",
  "pids/slipway/c/pids.max": "max\n",
  "pids/slipway/c/cgroup.procs": "7\n",
  "blkio/slipway/c/blkio.throttle.io_service_bytes": "8:0 Read 4096\n8:0 Write 10\n8:0 Sync 0\nTotal 4106\n",
  "blkio/slipway/c/blkio.throttle.io_serviced": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
});

describe("version 2", () => {
  const cgroup = new Cgroup("/slipway/c", unified);

  test("is recognized by its controllers file", () => {
    expect(cgroupVersion(unified)).toBe(2);
    expect(cgroupVersion(legacy)).toBe(1);
  });

  test("has its processes and its out-of-memory kills in one directory", () => {
    expect(cgroup.directories()).toEqual([join(unified, "slipway/c")]);
    expect(cgroup.processes()).toEqual([12, 13]);
    expect(cgroup.oomKills()).toBe(1);
  });

  test("gives what is used", () => {
    expect(readStats(cgroup)).toMatchObject({
      memory: { usage: 4096, inactiveFile: 96, limit: undefined, failures: 3 },
      cpu: { total: 1_500_000, user: 1_000_000, throttling: { periods: 4, throttledPeriods: 2, throttledTime: 7000 } },
      pids: { current: 2, limit: 100 },
      blockIo: [
        { major: 8, minor: 0, op: "read", bytes: 10, operations: 1 },
        { major: 8, minor: 0, op: "write", bytes: 20, operations: 2 },
      ],
    });
  });
});

test("version 1 gives the same from many directories", () => {
  const cgroup = new Cgroup("/slipway/c", legacy);
  expect(cgroup.processes()).toEqual([7]);
  expect(cgroup.oomKills()).toBe(3);
  expect(readStats(cgroup)).toMatchObject({
    memory: { usage: 8192, inactiveFile: 5, limit: undefined },
    cpu: { total: 123, user: 20_000_000, perCpu: [100, 23] },
    pids: { current: 1, limit: undefined },
    blockIo: [
      { op: "read", bytes: 4096, operations: 1 },
      { op: "write", bytes: 10, operations: 2 },
    ],
  });
});

test("version 1 counts what the cgroups below have read and written too", () => {
  const root = tree("recursive", {
    "blkio/c/blkio.throttle.io_service_bytes": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
    "blkio/c/blkio.throttle.io_serviced": "8:0 Read 1\n8:0 Write 1\nTotal 2\n",
    "blkio/c/blkio.throttle.io_service_bytes_recursive": "8:0 Read 100\n8:0 Write 200\nTotal 300\n",
    "blkio/c/blkio.throttle.io_serviced_recursive": "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
  });
  expect(readStats(new Cgroup("/c", root)).blockIo).toEqual([
    { major: 8, minor: 0, op: "read", bytes: 100, operations: 10 },
    { major: 8, minor: 0, op: "write", bytes: 200, operations: 20 },
  ]);
});

test("the counts of each interface are read, without loopback", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    1506      18    1    2    0     0          0         0     2086      23    3    4    0     0       0          0
  eth1:       0       0    0    0    0     0          0         0       70       1    0    0    0     0       0          0
`;
  expect(parseInterfaces(text)).toEqual([
    {
      name: "eth0",
      received: { bytes: 1506, packets: 18, errors: 1, dropped: 2 },
      sent: { bytes: 2086, packets: 23, errors: 3, dropped: 4 },
    },
    {
      name: "eth1",
      received: { bytes: 0, packets: 0, errors: 0, dropped: 0 },
      sent: { bytes: 70, packets: 1, errors: 0, dropped: 0 },
    },
  ]);
});

test("a cgroup that is gone reads as nothing and is removed already", () => {
  const cgroup = new Cgroup("/slipway/none", unified);
  expect(cgroup.processes()).toEqual([]);
  expect(readStats(cgroup).memory.usage).toBe(0);
  expect(cgroup.remove()).toBe(true);
});

test("removing takes the cgroups below with it", () => {
  const root = tree("removed", { "cgroup.controllers": "" });
  mkdirSync(join(root, "slipway/d/inner"), { recursive: true });
  expect(new Cgroup("/slipway/d", root).remove()).toBe(true);
  expect(existsSync(join(root, "slipway/d"))).toBe(false);
});
