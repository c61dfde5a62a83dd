import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readCgroupAbilities } from "./cgroup-abilities.ts";

const directory = mkdtempSync(join(tmpdir(), "abilities-"));
afterAll(() => rmSync(directory, { recursive: true }));

function tree(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(directory, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test("version 1 has what its controllers have files for", () => {
  const root = tree("legacy", {
    "memory/memory.limit_in_bytes": "1\n",
    "memory/memory.oom_control": "\n",
    "cpu/cpu.shares": "1024\n",
    "cpu/cpu.rt_period_us": "1000000\n",
    "cpuset/cpuset.cpus": "0-3\n",
    "cpuset/cpuset.mems": "0\n",
    "blkio/blkio.throttle.read_bps_device": "",
    "blkio/blkio.bfq.weight": "100\n",
  });
  expect(readCgroupAbilities(root)).toMatchObject({
    memory: true,
    swap: false,
    memoryReservation: false,
    memorySwappiness: false,
    oomKillDisable: true,
    cpuShares: true,
    cpuQuota: false,
    cpuRealtime: true,
    cpuset: true,
    cpus: "0-3",
    memoryNodes: "0",
    pids: false,
    blockWeight: true,
    blockWeightDevice: false,
    blockReadBps: true,
    blockWriteBps: false,
  });
});

test("version 2 has what its list of controllers names, and nothing that only version 1 knew", () => {
  const root = tree("unified", {
    "cgroup.controllers": "cpuset cpu memory pids\n",
    "cpuset.cpus.effective": "0-1\n",
    "cpuset.mems.effective": "0\n",
  });
  const proc = tree("proc", { swaps: "Filename\n" });
  expect(readCgroupAbilities(root, proc)).toEqual({
    memory: true,
    swap: true,
    memoryReservation: true,
    memorySwappiness: false,
    oomKillDisable: false,
    cpuShares: true,
    cpuQuota: true,
    cpuRealtime: false,
    cpuset: true,
    cpus: "0-1",
    memoryNodes: "0",
    pids: true,
    blockWeight: false,
    blockWeightDevice: false,
    blockReadBps: false,
    blockWriteBps: false,
    blockReadIops: false,
    blockWriteIops: false,
  });
});
