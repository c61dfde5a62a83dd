import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runCli } from "../run-cli.ts";
import { TestIo } from "../testing/test-io.ts";
import { checkCgroups } from "./cgroups.ts";
import { checkClock } from "./clock.ts";
import { checkDisk } from "./disk.ts";
import type { Finding } from "./finding.ts";
import { checkKernel } from "./kernel.ts";
import { Machine } from "./machine.ts";
import { checkNames } from "./names.ts";
import { checkRuntime } from "./programs.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-doctor-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A machine that has these files. */
function machine(files: Readonly<Record<string, string>>): Machine {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return new Machine(root);
}

const ailing = (findings: readonly Finding[]) => findings.filter(({ level }) => level !== "ok");

test("version 2 of cgroups is whole, or lacks what is named", () => {
  const all = machine({ "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids\n" });
  expect(ailing(checkCgroups(all))).toEqual([]);
  const [finding] = checkCgroups(machine({ "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu pids\n" }));
  expect(finding).toMatchObject({
    level: "warn",
    says: "version 2 without io memory: limits on io and memory are not kept",
  });
});

test("version 1 of cgroups needs its hierarchies, and swap accounting for swap limits", () => {
  const names = ["cpu,cpuacct", "cpuset", "blkio", "memory", "pids", "devices", "freezer"];
  const files = Object.fromEntries(names.map((name) => [`/sys/fs/cgroup/${name}/tasks`, ""]));
  expect(ailing(checkCgroups(machine(files))).map(({ subject }) => subject)).toEqual(["swap limit"]);
  const swap = { "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes": "1" };
  expect(ailing(checkCgroups(machine(swap)))).toEqual([]);
});

test("a machine without cgroups cannot run containers", () => {
  expect(checkCgroups(machine({}))).toMatchObject([{ level: "fail", repair: "mount -t cgroup2 none /sys/fs/cgroup" }]);
});

test("an old kernel, missing namespaces and a missing overlayfs are told with their cures", () => {
  const findings = checkKernel(machine({ "/proc/self/ns/net": "", "/proc/filesystems": "nodev\tproc\n" }), "4.19.0");
  expect(ailing(findings).map(({ subject, level }) => `${subject} ${level}`)).toEqual([
    "kernel fail",
    "namespaces fail",
    "overlayfs fail",
    "seccomp warn",
  ]);
  expect(findings[1]?.repair).toContain("CONFIG_PID_NS");
  for (const { level, repair } of findings) expect(repair !== undefined).toBe(level !== "ok");
});

test("a resolv.conf without servers, or with something else, is told", async () => {
  expect(await checkNames(machine({}))).toMatchObject([{ level: "fail" }]);
  const wrong = machine({ "/etc/resolv.conf": "search x\nnameserver not-an-address\n" });
  expect(await checkNames(wrong)).toMatchObject([{ subject: "DNS not-an-address", level: "warn" }]);
});

test("a server that answers is fine", async () => {
  const answered = await checkNames(new Machine());
  // Whether the host's own servers answer here is not ours to decide; that each is asked and told is.
  expect(answered.length).toBeGreaterThan(0);
  for (const { subject } of answered) expect(subject).toStartWith("DNS");
});

test("a clock in the past is noticed, and one that nobody keeps right", () => {
  expect(checkClock(machine({}), 0)).toMatchObject({ level: "warn", says: "1970-01-01 00:00 UTC is in the past" });
  expect(checkClock(machine({}), Date.UTC(2030, 0, 1))).toMatchObject({ level: "warn" });
  expect(checkClock(machine({ "/run/systemd/timesync/synchronized": "1" }), Date.UTC(2030, 0, 1)).level).toBe("ok");
});

test("the data root's file system is tried with an overlay, and nothing of the trial stays", async () => {
  const findings = await checkDisk(join(root, "not/yet/there"), true);
  expect(findings.find(({ subject }) => subject === "layers")).toMatchObject({ level: "ok" });
  expect(new Machine(root).list("/")).toEqual([]);
});

test("the machine that runs these tests has a runtime", async () => {
  expect(await checkRuntime(new Machine())).toMatchObject([{ subject: "runtime", level: "ok" }]);
});

test("the report has one form, and the exit code tells whether something has to be repaired", async () => {
  const io = new TestIo({ env: { DOCKER_HOST: "unix:///nowhere.sock" } });
  expect(await runCli(["doctor"], io)).toBe(1);
  expect(io.stdout.text).toMatch(/^FAIL {2}engine +Cannot connect to the Docker daemon/m);
  expect(io.stdout.text).toMatch(/ → /);
  const lines = new TestIo({ env: { DOCKER_HOST: "unix:///nowhere.sock" } });
  await runCli(["doctor", "--json", "--quiet"], lines);
  for (const line of lines.stdout.text.trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("repair");
});
