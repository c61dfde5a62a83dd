import { describe, expect, test } from "bun:test";
import { chooseCapabilities, DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { encodeSpec } from "./config-file.ts";
import { checkRlimits } from "./rlimits.ts";
import { resolveSeccomp } from "./seccomp.ts";
import { buildSpec, cgroupsPath } from "./spec.ts";
import { deviceNumbers } from "./spec-devices.ts";
import { specOf } from "./trial.fixture.ts";

const EVERYTHING = (1n << 41n) - 1n;
const target = { architecture: "x64", capabilities: DEFAULT_CAPABILITIES, x32: false };

const choose = (capAdd: string[], capDrop: string[] = [], available = EVERYTHING) =>
  chooseCapabilities({ privileged: false, capAdd, capDrop, available });

describe("capabilities", () => {
  test("by default they are Docker's fourteen", () => {
    expect(new Set(choose([]))).toEqual(new Set(DEFAULT_CAPABILITIES));
    expect(DEFAULT_CAPABILITIES).toHaveLength(14);
  });

  test("names come with or without CAP_ and in any case", () => {
    expect(choose(["net_admin"])).toContain("CAP_NET_ADMIN");
    expect(choose([], ["CAP_chown"])).not.toContain("CAP_CHOWN");
  });

  test("ALL adds or drops all, and the other list corrects it", () => {
    expect(choose(["ALL"])).toHaveLength(41);
    expect(choose(["ALL"], ["SYS_ADMIN"])).toHaveLength(40);
    expect(choose(["CHOWN"], ["ALL"])).toEqual(["CAP_CHOWN"]);
  });

  test("a name that does not exist, and one that we lack, are refused", () => {
    expect(() => choose(["FLY"])).toThrow('unknown capability: "CAP_FLY"');
    expect(() => choose(["SYS_RESOURCE"], [], EVERYTHING & ~(1n << 24n))).toThrow("does not have it itself");
    expect(choose(["ALL"], [], EVERYTHING & ~(1n << 24n))).not.toContain("CAP_SYS_RESOURCE");
  });
});

describe("seccomp", () => {
  const allowed = (profile: ReturnType<typeof resolveSeccomp>) =>
    new Set(
      profile?.syscalls.filter((rule) => rule.action === "SCMP_ACT_ALLOW" && !rule.args).flatMap((rule) => rule.names),
    );

  test("the default profile refuses what reaches past the container", () => {
    const profile = resolveSeccomp("default", target);
    expect(profile).toMatchObject({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1 });
    for (const name of ["mount", "keyctl", "bpf", "setns", "unshare", "reboot", "kexec_load", "io_uring_setup"]) {
      expect(allowed(profile)).not.toContain(name);
    }
    for (const name of ["read", "openat2", "futex_waitv", "chroot", "arch_prctl"])
      expect(allowed(profile)).toContain(name);
  });

  test("a capability brings its system calls", () => {
    const profile = resolveSeccomp("default", { ...target, capabilities: ["CAP_SYS_ADMIN"] });
    expect(allowed(profile)).toContain("mount");
    expect(allowed(profile)).toContain("clone3");
    expect(profile?.syscalls.some((rule) => rule.errnoRet === 38)).toBe(false);
  });

  test("x32 is only filtered where there is x32", () => {
    expect(resolveSeccomp("default", target)?.architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    expect(resolveSeccomp("default", { ...target, x32: true })?.architectures).toContain("SCMP_ARCH_X32");
  });

  test("a profile in Docker's format is settled for this machine", () => {
    const profile = resolveSeccomp(
      JSON.stringify({
        defaultAction: "SCMP_ACT_ALLOW",
        archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
        syscalls: [
          { names: ["a"], action: "SCMP_ACT_ERRNO", includes: { caps: ["CAP_SYS_ADMIN"] } },
          { names: ["b"], action: "SCMP_ACT_ERRNO", excludes: { caps: ["CAP_SYS_ADMIN"] }, args: null },
          { names: ["c"], action: "SCMP_ACT_ERRNO", includes: { arches: ["s390x"] } },
          { name: "d", action: "SCMP_ACT_ERRNO", errnoRet: 5 },
        ],
      }),
      target,
    );
    expect(profile).toEqual({
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
      syscalls: [
        { names: ["b"], action: "SCMP_ACT_ERRNO" },
        { names: ["d"], action: "SCMP_ACT_ERRNO", errnoRet: 5 },
      ],
    });
  });

  test("unconfined is no filter, and nonsense is refused with its place", () => {
    expect(resolveSeccomp("unconfined", target)).toBeUndefined();
    expect(() => resolveSeccomp("{", target)).toThrow("Decoding seccomp profile failed");
    expect(() => resolveSeccomp("null", target)).toThrow("it is not an object");
    const text = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"]}]}';
    expect(() => resolveSeccomp(text, target)).toThrow("syscalls[0] has no action");
  });
});

describe("rlimits", () => {
  const host = () =>
    "Limit Soft Hard Units\nMax open files            1024                 20000                files\n";

  test("one above the host's is refused with what would work", () => {
    expect(() => checkRlimits([{ name: "nofile", soft: 1, hard: 20_001 }], host)).toThrow(
      "ulimit nofile=20001 is above the limit of this host, 20000",
    );
    expect(checkRlimits([{ name: "nofile", soft: 100, hard: 20_000 }], host)).toEqual([
      { type: "RLIMIT_NOFILE", soft: 100, hard: 20_000 },
    ]);
  });

  test("soft above hard and unknown names are refused", () => {
    expect(() => checkRlimits([{ name: "nofile", soft: 2, hard: 1 }], host)).toThrow("above the hard limit");
    expect(() => checkRlimits([{ name: "wind", soft: 1, hard: 1 }], host)).toThrow("invalid ulimit type: wind");
  });
});

describe("a specification", () => {
  const build = (over = {}) => buildSpec(specOf("id", "/root/path", ["true"], over));

  test("shows the container a read-only kernel", () => {
    const { linux, mounts } = build();
    expect(linux.readonlyPaths).toContain("/proc/sys");
    expect(linux.maskedPaths).toContain("/proc/kcore");
    expect(mounts.find((mount) => mount.destination === "/sys")?.options).toContain("ro");
    expect(linux.resources.devices[0]).toEqual({ allow: false, access: "rwm" });
    expect(linux.namespaces.map(({ type }) => type)).toEqual(["mount", "network", "ipc", "pid", "uts", "cgroup"]);
  });

  test("of a privileged container has none of that", () => {
    const { linux, mounts } = build({ privileged: true });
    expect(linux).toMatchObject({ readonlyPaths: [], maskedPaths: [] });
    expect(linux.seccomp).toBeUndefined();
    expect(mounts.find((mount) => mount.destination === "/sys")?.options).toContain("rw");
    expect(linux.devices.map(({ path }) => path)).toContain("/dev/loop-control");
  });

  test("joins namespaces by path and shares the host's", () => {
    const namespaces = { network: { path: "/x" }, ipc: "host", pid: "host", uts: "host", cgroup: "host" };
    const spec = build({ namespaces });
    expect(spec.linux.namespaces).toEqual([{ type: "mount" }, { type: "network", path: "/x" }]);
    expect(spec).not.toHaveProperty("hostname");
    expect(spec.mounts.find((mount) => mount.destination === "/dev/shm")).toMatchObject({ type: "bind" });
    // A machine need not have it mounted.
    expect(spec.mounts.find((mount) => mount.destination === "/dev/mqueue")).toMatchObject({ type: "mqueue" });
  });

  test("puts a user's mount in place of the default, and parents before children", () => {
    const bind = (targetPath: string) => ({ type: "bind", source: "/s", target: targetPath, options: [] });
    const { mounts } = build({ mounts: [bind("/a/b/"), bind("/a"), bind("/dev/shm")] });
    const places = mounts.map((mount) => mount.destination);
    expect(places.indexOf("/a")).toBeLessThan(places.indexOf("/a/b"));
    expect(mounts.filter((mount) => mount.destination === "/dev/shm")).toMatchObject([{ type: "bind" }]);
  });

  test("says how many processors, how much memory and how many processes", () => {
    const resources = { memory: 1 << 26, nanoCpus: 1_500_000_000, pidsLimit: 10, cpuShares: 512 };
    expect(build({ resources }).linux.resources).toMatchObject({
      memory: { limit: 1 << 26 },
      cpu: { shares: 512, period: 100_000, quota: 150_000 },
      pids: { limit: 10 },
    });
  });

  test("adds rules for devices to those of every container", () => {
    const { devices } = build({ deviceRules: ["c 10:200 rw", "a *:* m", "b 8:* r"] }).linux.resources;
    expect(devices.slice(-3)).toEqual([
      { allow: true, type: "c", major: 10, minor: 200, access: "rw" },
      { allow: true, type: "a", access: "m" },
      { allow: true, type: "b", major: 8, access: "r" },
    ]);
    expect(() => build({ deviceRules: ["c 1 rwm"] })).toThrow("invalid device cgroup rule format: 'c 1 rwm'");
  });

  test("has real-time where it is asked for", () => {
    const resources = { cpuRealtimePeriod: 1_000_000, cpuRealtimeRuntime: 5_000 };
    expect(build({ resources }).linux.resources.cpu).toEqual({ realtimePeriod: 1_000_000, realtimeRuntime: 5_000 });
  });

  test("starts an init when asked", () => {
    const { process: first, mounts } = build({ init: "/usr/init" });
    expect(first.args).toEqual(["/sbin/docker-init", "--", "true"]);
    expect(mounts.at(-1)).toMatchObject({ destination: "/sbin/docker-init", type: "bind", source: "/usr/init" });
  });

  test("writes no limit as the number that runtimes understand", () => {
    const spec = build();
    const limits = [{ type: "RLIMIT_CORE", soft: 2 ** 64, hard: 2 ** 64 }];
    expect(encodeSpec({ ...spec, process: { ...spec.process, rlimits: limits } })).toContain(
      '"soft":18446744073709551615,"hard":18446744073709551615',
    );
  });

  test("names the cgroup where the supervisor looks for it, whatever the annotations are called", () => {
    const spec = build({ annotations: { cgroupsPath: "/" } });
    expect(encodeSpec(spec)).toContain(`"linux":{"cgroupsPath":"${spec.linux.cgroupsPath}"`);
  });

  test("refuses devices that are none and mounts at relative places", () => {
    const device = { pathOnHost: "/etc/passwd", pathInContainer: "/dev/x", permissions: "rwm" };
    expect(() => build({ devices: [device] })).toThrow("not a device node");
    expect(() => build({ devices: [{ ...device, pathOnHost: "/nowhere" }] })).toThrow("no such file or directory");
    const mount = { type: "bind", source: "/s", target: "a", options: [] };
    expect(() => build({ mounts: [mount] })).toThrow("mount path must be absolute");
  });

  test("puts the cgroup below the parent and nowhere else", () => {
    expect(cgroupsPath("id")).toBe("/slipway/id");
    expect(cgroupsPath("id", "jobs/")).toBe("/jobs/id");
    expect(() => cgroupsPath("id", "/a/../..")).toThrow("invalid cgroup parent");
    expect(() => cgroupsPath("id", "system.slice")).toThrow("invalid cgroup parent");
  });
});

test("device numbers are split as the kernel does", () => {
  expect(deviceNumbers(0x103)).toEqual({ major: 1, minor: 3 });
  // minor(0x12345008): its low byte, and twelve bits from bit 20 on.
  expect(deviceNumbers(0x12345008)).toEqual({ major: 0x450, minor: 0x12308 });
});
