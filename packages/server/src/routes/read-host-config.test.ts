import { expect, test } from "bun:test";
import { JsonReader } from "@slipway/base";
import { hostConfigDocument } from "../shapes/host-config.ts";
import { readCreateContainer } from "./create-container.ts";
import { readHostConfig } from "./read-host-config.ts";

const rate = [{ Path: "/dev/sda", Rate: 1 }];

/** All fields of `HostConfig` in API 1.56, each with a value that asks for something. */
const FIELDS: Readonly<Record<string, unknown>> = {
  CpuShares: 1,
  Memory: 1,
  CgroupParent: "/jobs",
  BlkioWeight: 100,
  BlkioWeightDevice: [{ Path: "/dev/sda", Weight: 100 }],
  BlkioDeviceReadBps: rate,
  BlkioDeviceWriteBps: rate,
  BlkioDeviceReadIOps: rate,
  BlkioDeviceWriteIOps: rate,
  CpuPeriod: 1,
  CpuQuota: 1,
  CpuRealtimePeriod: 1,
  CpuRealtimeRuntime: 1,
  CpusetCpus: "0",
  CpusetMems: "0",
  Devices: [{ PathOnHost: "/dev/a", PathInContainer: "/dev/b", CgroupPermissions: "r" }],
  DeviceCgroupRules: ["c 1:1 r"],
  DeviceRequests: [{ Driver: "d", Count: 1, DeviceIDs: ["x"], Capabilities: [["gpu"]], Options: { a: "b" } }],
  MemoryReservation: 1,
  MemorySwap: -1,
  MemorySwappiness: 0,
  NanoCpus: 1,
  OomKillDisable: true,
  Init: true,
  PidsLimit: -1,
  Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
  CpuCount: 1,
  CpuPercent: 1,
  IOMaximumIOps: 1,
  IOMaximumBandwidth: 1,
  Binds: ["/a:/b"],
  ContainerIDFile: "/tmp/id",
  LogConfig: { Type: "local", Config: { "max-size": "1m" } },
  NetworkMode: "none",
  PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "80" }] },
  RestartPolicy: { Name: "on-unhealthy", MaximumRetryCount: 3 },
  AutoRemove: true,
  VolumeDriver: "local",
  VolumesFrom: ["other:ro"],
  Mounts: [
    { Type: "image", Source: "x", Target: "/i", ImageOptions: { Subpath: "etc" } },
    { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1, Mode: 448, Options: [["exec"], ["uid", "5"]] } },
    {
      Type: "bind",
      Source: "/a",
      Target: "/b",
      ReadOnly: true,
      Consistency: "cached",
      BindOptions: {
        Propagation: "rprivate",
        NonRecursive: false,
        CreateMountpoint: true,
        ReadOnlyNonRecursive: false,
        ReadOnlyForceRecursive: true,
      },
    },
    {
      Type: "volume",
      Source: "v",
      Target: "/v",
      VolumeOptions: {
        NoCopy: true,
        Labels: { a: "b" },
        DriverConfig: { Name: "local", Options: { type: "tmpfs" } },
        Subpath: "s",
      },
    },
  ],
  ConsoleSize: [24, 80],
  Annotations: { a: "b" },
  CapAdd: ["ALL"],
  CapDrop: ["CHOWN"],
  CgroupnsMode: "private",
  Dns: ["1.1.1.1"],
  DnsOptions: ["ndots:1"],
  DnsSearch: ["example.org"],
  ExtraHosts: ["a:1.1.1.1"],
  GroupAdd: ["tty"],
  IpcMode: "shareable",
  Links: ["a:b"],
  OomScoreAdj: -5,
  PidMode: "host",
  Privileged: true,
  PublishAllPorts: true,
  ReadonlyRootfs: true,
  SecurityOpt: ["no-new-privileges"],
  StorageOpt: { size: "1g" },
  Tmpfs: { "/t": "size=1m" },
  UTSMode: "host",
  UsernsMode: "host",
  ShmSize: 1,
  Sysctls: { "net.core.somaxconn": "1" },
  Runtime: "crun",
  Isolation: "default",
  MaskedPaths: ["/proc/x"],
  ReadonlyPaths: ["/proc/y"],
};

test("every field of the API reaches the engine as it was sent, and inspect shows it again", () => {
  // The one that is missing here is refused below.
  expect(Object.keys(FIELDS)).toHaveLength(68);
  for (const [name, value] of Object.entries(FIELDS)) {
    const read = readHostConfig(new JsonReader({ [name]: value }, "HostConfig"));
    expect({ [name]: (read as Record<string, unknown>)[name] }).toEqual({ [name]: value });
    expect(hostConfigDocument(read, 55)[name]).toEqual(value);
  }
});

test("a cgroup of another container is refused rather than forgotten", () => {
  const read = () => readHostConfig(new JsonReader({ Cgroup: "container:x" }, "HostConfig"));
  expect(read).toThrow("HostConfig.Cgroup is not supported");
});

test.each(["npipe", "cluster", "else"])("mounts of the type %s are refused", (Type) => {
  const read = () => readHostConfig(new JsonReader({ Mounts: [{ Type, Target: "/x" }] }, "HostConfig"));
  expect(read).toThrow(`mount type '${Type}' is not supported`);
});

test("every field of Config reaches the engine as it was sent", () => {
  const config = {
    Hostname: "h",
    Domainname: "d",
    User: "u:g",
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    ExposedPorts: { "80/tcp": {} },
    Tty: true,
    OpenStdin: true,
    StdinOnce: true,
    Env: ["A=b"],
    Cmd: ["c"],
    Healthcheck: { Test: ["CMD", "x"], Interval: 1, Timeout: 2, StartPeriod: 3, StartInterval: 4, Retries: 5 },
    Image: "i",
    Volumes: { "/v": {} },
    WorkingDir: "/w",
    Entrypoint: ["e"],
    NetworkDisabled: true,
    MacAddress: "02:00:00:00:00:01",
    OnBuild: ["RUN x"],
    Labels: { a: "b" },
    StopSignal: "SIGINT",
    StopTimeout: 0,
    Shell: ["/bin/sh"],
  };
  expect(readCreateContainer(new JsonReader(config, "request body"), {}).config).toEqual(config as never);
});
