import { expect, test } from "bun:test";
import type { HostConfig } from "../faces.ts";
import { checkConfig, checkHostConfig, completeHostConfig } from "../settings/host-config.ts";
import { parseLogConfig } from "../settings/log-config.ts";
import { parseBind, parseMountPoint, parseTmpfs, requestedMounts } from "../settings/mount-spec.ts";
import { parseNetworkMode } from "../settings/network-mode.ts";
import { exposedPorts, parsePorts, portKey, portRequests, portTable, wishedPorts } from "../settings/port-spec.ts";
import { readSecurityOptions } from "../settings/security-options.ts";
import { generateName, parseContainerName } from "./container-name.ts";
import { readRestartPolicy, restartDelay, restartsAfter, startsWithEngine } from "./restart-policy.ts";

test("a bind has source, destination and mode", () => {
  expect(parseBind("/a/:/b/../c:ro,z,rslave")).toMatchObject({
    kind: "bind",
    source: "/a",
    destination: "/c",
    readOnly: true,
    propagation: "rslave",
    createSource: true,
  });
  expect(parseBind("data:/var/data:nocopy")).toMatchObject({ kind: "volume", name: "data", copyUp: false });
  expect(parseBind("/anonymous")).toMatchObject({ kind: "volume", name: undefined, destination: "/anonymous" });
});

for (const [spec, complaint] of [
  ["/a:b", /mount path must be absolute/],
  ["/a:/", /destination can't be '\/'/],
  ["/a:/b:ro:z", /invalid volume specification/],
  [":/b", /invalid volume specification/],
  ["/a:/b:", /invalid volume specification/],
  ["/a:/b:rx", /invalid mode: rx/],
  ["/a:/b:ro,rw", /invalid mode/],
  ["./a:/b", /includes invalid characters for a local volume name/],
  ["../../etc:/b", /includes invalid characters/],
  ["name:/b:shared", /invalid mode/],
] as const) {
  test(`the bind '${spec}' is refused`, () => {
    expect(() => parseBind(spec)).toThrow(complaint);
  });
}

test("a mount by --mount needs what its type needs", () => {
  expect(
    parseMountPoint({ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 4096, Mode: 0o700 } }),
  ).toMatchObject({ options: ["size=4096", "mode=700"] });
  expect(() => parseMountPoint({ Type: "bind", Target: "/t" })).toThrow("field Source must not be empty");
  expect(() => parseMountPoint({ Type: "bind", Source: "a", Target: "/t" })).toThrow("mount path must be absolute");
  expect(() => parseMountPoint({ Type: "volume", Target: "" })).toThrow("field Target must not be empty");
  expect(() =>
    parseMountPoint({ Type: "volume", Source: "vol", Target: "/t", VolumeOptions: { Subpath: "../x" } }),
  ).toThrow("subpath must be a relative path");
  expect(() => parseMountPoint({ Type: "npipe" as "bind", Target: "/t" })).toThrow("mount type unknown");
});

test("tmpfs options are checked, and two mounts at one place refused", () => {
  expect(parseTmpfs("/run", "rw,size=1m,noexec")).toMatchObject({ options: ["rw", "size=1m", "noexec"] });
  expect(() => parseTmpfs("/run", "data=/etc")).toThrow("invalid tmpfs option");
  expect(() => requestedMounts({ Binds: ["/a:/x", "vol:/x/"] })).toThrow("Duplicate mount point: /x");
});

test("ports are read with ranges and protocols", () => {
  expect(parsePorts("8000-8002/udp").map(portKey)).toEqual(["8000/udp", "8001/udp", "8002/udp"]);
  for (const bad of ["0", "65536", "80/icmp", "90-80", "x", "80/tcp/udp"]) expect(() => parsePorts(bad)).toThrow(bad);
});

test("what is published is bound, what is only exposed shows as null", () => {
  const config = { Image: "x", ExposedPorts: { "443/tcp": {}, "80": {} } };
  const hostConfig: HostConfig = { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] } };
  const wishes = wishedPorts(config, hostConfig);
  expect(wishes).toEqual([{ port: 80, protocol: "tcp", hostAddress: "", firstHostPort: 8080, lastHostPort: 8080 }]);
  const published = portRequests(wishes, 0) ?? [];
  expect(portTable(exposedPorts(config, hostConfig), published)).toEqual({
    "80/tcp": [{ HostIp: "", HostPort: "8080" }],
    "443/tcp": null,
  });
  expect(wishedPorts(config, { ...hostConfig, PublishAllPorts: true })).toHaveLength(2);
});

test("of a range of host ports one after the other is tried", () => {
  const wishes = wishedPorts({ Image: "x" }, { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "9000-9001" }] } });
  expect(portRequests(wishes, 0)?.[0]?.hostPort).toBe(9000);
  expect(portRequests(wishes, 1)?.[0]?.hostPort).toBe(9001);
  expect(portRequests(wishes, 2)).toBeUndefined();
});

test("names have Docker's form, and made ones are free", () => {
  expect(parseContainerName("/web.1")).toBe("web.1");
  for (const bad of ["a", "-a", "a b", "a/b", "../x", ""])
    expect(() => parseContainerName(bad)).toThrow("Invalid container name");
  const taken = new Set<string>();
  for (let count = 0; count < 200; count++)
    taken.add(
      generateName(
        (name) => taken.has(name),
        () => 0.5,
      ),
    );
  expect(taken.size).toBe(200);
  for (const name of taken) expect(parseContainerName(name)).toBe(name);
});

for (const [given, complaint] of [
  [{ Memory: 1024 }, "Minimum memory limit allowed is 6MB"],
  [{ Memory: 1e8, MemorySwap: 1e7 }, "Minimum memoryswap limit should be larger"],
  [{ MemorySwap: 1e8 }, "You should always set the Memory limit"],
  [{ NanoCpus: 1e12 }, "range of CPUs is from 0.01"],
  [{ CpuPeriod: 10 }, "CPU cfs period"],
  [{ CpusetCpus: "0-x" }, "Invalid value 0-x for cpuset cpus"],
  [{ OomScoreAdj: 2000 }, "range for oom score adj"],
  [{ ShmSize: -1 }, "SHM size can not be less than 0"],
  [{ AutoRemove: true, RestartPolicy: { Name: "always" } }, "can't create 'AutoRemove' container with restart policy"],
  [{ RestartPolicy: { Name: "sometimes" } }, "invalid restart policy"],
  [{ RestartPolicy: { Name: "always", MaximumRetryCount: 2 } }, "maximum retry count can only be used"],
  [{ LogConfig: { Type: "syslog", Config: {} } }, "no log driver named 'syslog' is registered"],
  [{ LogConfig: { Type: "json-file", Config: { size: "1" } } }, "unknown log opt 'size'"],
  [{ ExtraHosts: ["a"] }, "bad format for add-host"],
  [{ ExtraHosts: ["a:b\n1.2.3.4 c"] }, "invalid IP address in add-host"],
  [{ Dns: ["a"] }, "is not an IP address"],
  [{ NetworkMode: "container:" }, "invalid container format"],
  [{ NetworkMode: "container:x", PublishAllPorts: true }, "conflicting options: port publishing"],
  [{ PidMode: "container:" }, "invalid PID mode"],
  [{ IpcMode: "all" }, "invalid IPC mode"],
  [{ CapAdd: ["FLY"] }, 'unknown capability: "CAP_FLY"'],
  [{ CapDrop: ["FLY"] }, 'unknown capability: "CAP_FLY"'],
  [{ Runtime: "kata" }, "unknown or invalid runtime name: kata"],
] as const) {
  test(`a host configuration with ${JSON.stringify(given)} is refused`, () => {
    expect(() => checkHostConfig(given as HostConfig)).toThrow(complaint);
  });
}

test("an empty host configuration is completed with Docker's defaults", () => {
  expect(completeHostConfig({}, 1)).toMatchObject({
    NetworkMode: "bridge",
    IpcMode: "private",
    CgroupnsMode: "host",
    ShmSize: 67108864,
    RestartPolicy: { Name: "no" },
  });
});

test("a configuration with a relative directory, a bad signal, a hostile host name or NUL is refused", () => {
  expect(() => checkConfig({ Image: "x", WorkingDir: "a" })).toThrow("it needs to be an absolute path");
  expect(() => checkConfig({ Image: "x", StopSignal: "SIGFOO" })).toThrow(/signal/);
  expect(() => checkConfig({ Image: "x", Hostname: "a\n1.2.3.4 b" })).toThrow("invalid hostname");
  expect(() => checkConfig({ Image: "x", Cmd: ["a\0b"] })).toThrow("NUL");
});

test("log options bound the log", () => {
  expect(parseLogConfig(undefined)).toEqual({ driver: "json-file", maxSize: 10485760, maxFiles: 3 });
  const options = { Type: "local", Config: { "max-size": "1m", "max-file": "5" } };
  expect(parseLogConfig(options)).toEqual({ driver: "local", maxSize: 1048576, maxFiles: 5 });
  const unbounded = { Type: "json-file", Config: { "max-size": "-1" } };
  expect(parseLogConfig(unbounded).maxSize).toBe(Number.MAX_SAFE_INTEGER);
});

test("network modes are told apart", () => {
  expect(parseNetworkMode("")).toEqual({ kind: "network", name: "bridge" });
  expect(parseNetworkMode("container:web")).toEqual({ kind: "container", container: "web" });
  expect(parseNetworkMode("backend")).toEqual({ kind: "network", name: "backend" });
});

test("restart policies decide by exit, by hand and by count", () => {
  const run = { exitCode: 1, manuallyStopped: false, restartCount: 0 };
  const limited = readRestartPolicy({ Name: "on-failure", MaximumRetryCount: 2 });
  expect(restartsAfter(limited, run)).toBe(true);
  expect(restartsAfter(limited, { ...run, restartCount: 2 })).toBe(false);
  expect(restartsAfter(limited, { ...run, exitCode: 0 })).toBe(false);
  const always = readRestartPolicy({ Name: "always" });
  expect(restartsAfter(always, { ...run, manuallyStopped: true })).toBe(false);
  expect(startsWithEngine(always, { ...run, manuallyStopped: true })).toBe(true);
  expect(startsWithEngine(readRestartPolicy({ Name: "unless-stopped" }), { ...run, manuallyStopped: true })).toBe(
    false,
  );
});

test("the delay doubles for short runs, and begins anew after a long one", () => {
  expect([undefined, 100, 40_000].map((previous) => restartDelay(previous, 10))).toEqual([100, 200, 60_000]);
  expect(restartDelay(60_000, 10_000)).toBe(100);
});

test("security options are read, wrong ones refused", () => {
  expect(readSecurityOptions(["no-new-privileges", "seccomp=unconfined", "apparmor:x"])).toMatchObject({
    noNewPrivileges: true,
    seccomp: "unconfined",
    apparmor: "x",
  });
  expect(() => readSecurityOptions(["seccomp={"])).toThrow("seccomp profile is not JSON");
  expect(() => readSecurityOptions(["nonsense=1"])).toThrow('invalid --security-opt 2: "nonsense=1"');
});
