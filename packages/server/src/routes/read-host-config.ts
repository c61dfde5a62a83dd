import { type JsonReader, SlipwayError } from "@slipway/base";
import type { HostConfig } from "../backend.ts";
import { present } from "./present.ts";
import { readMounts } from "./read-mounts.ts";

/** Fields that the engine has nothing for: a container that asks for them is refused rather than run without them. */
const UNSUPPORTED = ["Cgroup"];

/** `HostConfig` of a create request. Throws `invalid` that names the field, `not-implemented` for unsupported ones. */
export function readHostConfig(reader: JsonReader): HostConfig {
  refuseUnsupported(reader);
  return {
    ...present({ ...lists(reader), ...words(reader), ...numbers(reader), ...switches(reader), ...structures(reader) }),
    ...present({ Mounts: readMounts(reader.field("Mounts")) }),
  };
}

function refuseUnsupported(reader: JsonReader): void {
  for (const name of UNSUPPORTED) {
    const value = reader.field(name).value;
    const isEmpty = value === undefined || value === null || value === "" || value === 0;
    if (isEmpty || (Array.isArray(value) && value.length === 0)) continue;
    throw new SlipwayError("not-implemented", `HostConfig.${name} is not supported yet`);
  }
}

function lists(reader: JsonReader) {
  const list = (name: string) => reader.field(name).optional()?.strings();
  return {
    Binds: list("Binds"),
    VolumesFrom: list("VolumesFrom"),
    CapAdd: list("CapAdd"),
    CapDrop: list("CapDrop"),
    SecurityOpt: list("SecurityOpt"),
    Dns: list("Dns"),
    DnsOptions: list("DnsOptions"),
    DnsSearch: list("DnsSearch"),
    ExtraHosts: list("ExtraHosts"),
    Links: list("Links"),
    GroupAdd: list("GroupAdd"),
    DeviceCgroupRules: list("DeviceCgroupRules"),
    MaskedPaths: list("MaskedPaths"),
    ReadonlyPaths: list("ReadonlyPaths"),
  };
}

function words(reader: JsonReader) {
  // Docker's clients send "" for "not given".
  const word = (name: string) => reader.field(name).optionalString() || undefined;
  return {
    NetworkMode: word("NetworkMode"),
    IpcMode: word("IpcMode"),
    PidMode: word("PidMode"),
    UTSMode: word("UTSMode"),
    UsernsMode: word("UsernsMode"),
    CgroupnsMode: word("CgroupnsMode"),
    CgroupParent: word("CgroupParent"),
    // Written by the client; we only keep it for inspect.
    ContainerIDFile: word("ContainerIDFile"),
    CpusetCpus: word("CpusetCpus"),
    CpusetMems: word("CpusetMems"),
    Runtime: word("Runtime"),
    VolumeDriver: word("VolumeDriver"),
    Isolation: word("Isolation"),
  };
}

function numbers(reader: JsonReader) {
  const integer = (name: string) => {
    const value = reader.field(name).optionalNumber();
    if (value !== undefined && !Number.isSafeInteger(value)) {
      throw new SlipwayError("invalid", `request body: HostConfig: ${name}: expected an integer`);
    }
    return value;
  };
  // 0 means "not given" for all of these, and clients send it.
  const limit = (name: string) => integer(name) || undefined;
  return {
    OomScoreAdj: integer("OomScoreAdj"),
    ShmSize: limit("ShmSize"),
    Memory: limit("Memory"),
    MemorySwap: limit("MemorySwap"),
    MemoryReservation: limit("MemoryReservation"),
    MemorySwappiness: integer("MemorySwappiness"),
    NanoCpus: limit("NanoCpus") ?? limit("NanoCPUs"),
    CpuShares: limit("CpuShares"),
    CpuPeriod: limit("CpuPeriod"),
    CpuQuota: limit("CpuQuota"),
    PidsLimit: limit("PidsLimit"),
    BlkioWeight: limit("BlkioWeight"),
    CpuRealtimePeriod: limit("CpuRealtimePeriod"),
    CpuRealtimeRuntime: limit("CpuRealtimeRuntime"),
    KernelMemory: limit("KernelMemory"),
    KernelMemoryTCP: limit("KernelMemoryTCP"),
    CpuCount: limit("CpuCount"),
    CpuPercent: limit("CpuPercent"),
    IOMaximumIOps: limit("IOMaximumIOps"),
    IOMaximumBandwidth: limit("IOMaximumBandwidth"),
  };
}

function switches(reader: JsonReader) {
  const flag = (name: string) => reader.field(name).optionalBoolean();
  return {
    PublishAllPorts: flag("PublishAllPorts"),
    AutoRemove: flag("AutoRemove"),
    Privileged: flag("Privileged"),
    ReadonlyRootfs: flag("ReadonlyRootfs"),
    OomKillDisable: flag("OomKillDisable"),
    Init: flag("Init"),
  };
}

function structures(reader: JsonReader) {
  const map = (name: string) => reader.field(name).optional()?.stringMap();
  return {
    Tmpfs: map("Tmpfs"),
    Sysctls: map("Sysctls"),
    Annotations: map("Annotations"),
    StorageOpt: map("StorageOpt"),
    PortBindings: readPortBindings(reader.field("PortBindings")),
    RestartPolicy: readRestartPolicy(reader.field("RestartPolicy")),
    Ulimits: reader.field("Ulimits").optional()?.array().map(readUlimit),
    Devices: reader.field("Devices").optional()?.array().map(readDevice),
    ...blockIo(reader),
    DeviceRequests: readDeviceRequests(reader.field("DeviceRequests")),
    LogConfig: readLogConfig(reader.field("LogConfig")),
    ConsoleSize: readConsoleSize(reader.field("ConsoleSize")),
  };
}

function readPortBindings(reader: JsonReader): HostConfig["PortBindings"] | undefined {
  if (reader.optional() === undefined) return undefined;
  return Object.fromEntries(
    reader.keys().map((key) => {
      const bindings = reader.field(key).array();
      return [
        key,
        bindings.map((binding) => ({
          HostIp: binding.field("HostIp").optionalString() ?? "",
          // Hand-written requests give a number, which Docker refuses; the meaning is plain.
          HostPort: portText(binding.field("HostPort")),
        })),
      ];
    }),
  );
}

function portText(reader: JsonReader): string {
  return typeof reader.value === "number" ? String(reader.natural()) : (reader.optionalString() ?? "");
}

function readRestartPolicy(reader: JsonReader): HostConfig["RestartPolicy"] | undefined {
  if (reader.optional() === undefined) return undefined;
  const count = reader.field("MaximumRetryCount").optionalNumber();
  return { Name: reader.field("Name").optionalString() || "no", MaximumRetryCount: count ?? 0 };
}

function readUlimit(reader: JsonReader) {
  return {
    Name: reader.field("Name").string(),
    Soft: reader.field("Soft").number(),
    Hard: reader.field("Hard").number(),
  };
}

function readDevice(reader: JsonReader) {
  return {
    PathOnHost: reader.field("PathOnHost").string(),
    PathInContainer: reader.field("PathInContainer").optionalString() || reader.field("PathOnHost").string(),
    CgroupPermissions: reader.field("CgroupPermissions").optionalString() || "rwm",
  };
}

function blockIo(reader: JsonReader) {
  const devices = <T>(name: string, read: (device: JsonReader) => T): T[] | undefined => {
    const list = reader.field(name).optional()?.array().map(read);
    return list?.length === 0 ? undefined : list;
  };
  const path = (device: JsonReader) => device.field("Path").string();
  const rates = (name: string) =>
    devices(name, (device) => ({ Path: path(device), Rate: device.field("Rate").natural() }));
  return {
    BlkioWeightDevice: devices("BlkioWeightDevice", (device) => ({
      Path: path(device),
      Weight: device.field("Weight").natural(),
    })),
    BlkioDeviceReadBps: rates("BlkioDeviceReadBps"),
    BlkioDeviceWriteBps: rates("BlkioDeviceWriteBps"),
    BlkioDeviceReadIOps: rates("BlkioDeviceReadIOps"),
    BlkioDeviceWriteIOps: rates("BlkioDeviceWriteIOps"),
  };
}

function readDeviceRequests(reader: JsonReader): HostConfig["DeviceRequests"] | undefined {
  const requests = reader.optional()?.array() ?? [];
  if (requests.length === 0) return undefined;
  return requests.map((request) => ({
    Driver: request.field("Driver").optionalString() ?? "",
    Count: request.field("Count").optionalNumber() ?? 0,
    DeviceIDs: request.field("DeviceIDs").optional()?.strings() ?? [],
    Capabilities: (request.field("Capabilities").optional()?.array() ?? []).map((set) => set.strings()),
    Options: request.field("Options").stringMap(),
  }));
}

function readLogConfig(reader: JsonReader): HostConfig["LogConfig"] | undefined {
  const type = reader.field("Type").optionalString();
  const config = reader.field("Config").stringMap();
  if (!type && Object.keys(config).length === 0) return undefined;
  return { Type: type ?? "", Config: config };
}

/** `[rows, columns]`; `[0, 0]` is "not given". */
export function readConsoleSize(reader: JsonReader): readonly [number, number] | undefined {
  const [rows, columns] = reader.array().map((element) => element.natural());
  if (rows === undefined || columns === undefined || (rows === 0 && columns === 0)) return undefined;
  if (rows > 0xffff || columns > 0xffff) throw new SlipwayError("invalid", "ConsoleSize is larger than 65535");
  return [rows, columns];
}
