import type { FlagValues } from "../../grammar/flag.ts";
import type { Io } from "../../io.ts";
import { capabilities } from "../../notation/capability.ts";
import {
  isCdiDevice,
  parseDevice,
  parseGpus,
  parseRestart,
  parseThrottle,
  parseWeight,
  ulimits,
} from "../../notation/device.ts";
import { pairs, readEnvironment, readFileText, readLabels, splitPair } from "../../notation/environment.ts";
import { extraHost } from "../../notation/host.ts";
import { parseMount, parseVolumes } from "../../notation/mount.ts";
import { defaultLinks, endpointsOf, networkMode } from "../../notation/network.ts";
import { parseExposed, parsePublished } from "../../notation/port.ts";
import type { CREATE_FLAGS } from "./create-flags.ts";

export type CreateValues = FlagValues<typeof CREATE_FLAGS>;

export interface CreateInput {
  readonly flags: CreateValues;
  readonly given: (name: string) => boolean;
  readonly image: string;
  readonly command: readonly string[];
  readonly io: Io;
  /** Docker's client files: logins for images that must be pulled. */
  /** The engine's socket, as the engine's machine has it. */
  readonly socket: string;
  readonly configDirectory: string;
  /** Variables with the user's proxies, but for those whose names are given. */
  proxies(given: Iterable<string>): Promise<[name: string, value: string][]>;
}

type Body = Record<string, unknown>;

/** The body of `POST /containers/create`. Fields that nobody asked for are left out. Throws an `Error` for what is wrong. */
export async function createRequest(input: CreateInput): Promise<Body> {
  const { flags } = input;
  const published = parsePublished(flags.publish);
  const exposed = { ...published.exposed, ...Object.fromEntries(parseExposed(flags.expose).map((port) => [port, {}])) };
  const { binds, volumes } = parseVolumes(flags.volume);
  const endpoints = endpointsOf(flags);
  return clean({
    ...(await processFields(input)),
    ...streamFields(flags),
    ExposedPorts: exposed,
    Volumes: volumes,
    Labels: await readLabels(flags["label-file"], flags.label),
    Healthcheck: healthcheck(input),
    StopSignal: flags["stop-signal"],
    StopTimeout: input.given("stop-timeout") ? flags["stop-timeout"] : undefined,
    HostConfig: withPaths(flags, {
      ...hostFields(input),
      ...resourceFields(input),
      ...(await securityFields(flags)),
      Binds: binds,
      PortBindings: published.bindings,
      PublishAllPorts: flags["publish-all"],
      NetworkMode: networkMode(flags),
    }),
    NetworkingConfig: Object.keys(endpoints).length === 0 ? undefined : { EndpointsConfig: endpoints },
  });
}

async function processFields({ flags, given, image, command, io, proxies }: CreateInput): Promise<Body> {
  const variables = await proxies(flags.env.map((text) => splitPair(text)[0]));
  const entrypoint = given("entrypoint") ? (flags.entrypoint === "" ? [""] : [flags.entrypoint]) : undefined;
  return {
    Hostname: flags.hostname,
    Domainname: flags.domainname,
    User: flags.user,
    Env: [
      ...(await readEnvironment(flags["env-file"], flags.env, io.env)),
      ...variables.map(([name, value]) => `${name}=${value}`),
    ],
    Cmd: command.length === 0 ? undefined : command,
    Image: image,
    WorkingDir: flags.workdir,
    Entrypoint: entrypoint,
  };
}

/** Which streams are attached: those of `--attach`, or all; stdin only with `--interactive`. */
export function attachedStreams(flags: CreateValues, detach: boolean): Record<"stdin" | "stdout" | "stderr", boolean> {
  const asked = flags.attach.map((name) => name.toLowerCase());
  if (asked.length > 0) {
    return { stdin: asked.includes("stdin"), stdout: asked.includes("stdout"), stderr: asked.includes("stderr") };
  }
  return { stdin: flags.interactive && !detach, stdout: !detach, stderr: !detach };
}

function streamFields(flags: CreateValues): Body {
  const streams = attachedStreams(flags, false);
  return {
    AttachStdin: streams.stdin,
    AttachStdout: streams.stdout,
    AttachStderr: streams.stderr,
    Tty: flags.tty,
    OpenStdin: flags.interactive,
    // The container's input ends when ours does, but not when nobody is attached.
    StdinOnce: flags.interactive && streams.stdin,
  };
}

function healthcheck({ flags, given }: CreateInput): Body | undefined {
  const changed = (["cmd", "interval", "retries", "start-interval", "start-period", "timeout"] as const).some(
    (name) => given(`health-${name}`) && Boolean(flags[`health-${name}`]),
  );
  if (flags["no-healthcheck"]) {
    if (changed) throw new Error("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!changed) return undefined;
  for (const name of ["interval", "timeout", "start-period", "start-interval"] as const) {
    if (flags[`health-${name}`] < 0) throw new Error(`--health-${name} cannot be negative`);
  }
  if (flags["health-retries"] < 0) throw new Error("--health-retries cannot be negative");
  return clean({
    Test: flags["health-cmd"] === "" ? undefined : ["CMD-SHELL", flags["health-cmd"]],
    Interval: flags["health-interval"],
    Timeout: flags["health-timeout"],
    StartPeriod: flags["health-start-period"],
    StartInterval: flags["health-start-interval"],
    Retries: flags["health-retries"],
  });
}

function hostFields({ flags, given, io, socket }: CreateInput): Body {
  const restart = parseRestart(flags.restart);
  if (flags.rm && restart.Name !== "no") throw new Error("conflicting options: cannot specify both --restart and --rm");
  const { rows, columns } = flags.tty && io.stdout.isTerminal() ? io.stdout.size() : { rows: 0, columns: 0 };
  const socketMount = { Type: "bind", Source: socket, Target: "/var/run/docker.sock" };
  const mounts = [...flags.mount.map(parseMount), ...(flags["use-api-socket"] ? [socketMount] : [])];
  return {
    ContainerIDFile: flags.cidfile,
    AutoRemove: flags.rm,
    RestartPolicy: restart.Name === "no" ? undefined : restart,
    Mounts: mounts,
    Tmpfs: Object.fromEntries(flags.tmpfs.map(tmpfsPair)),
    VolumesFrom: flags["volumes-from"],
    VolumeDriver: flags["volume-driver"],
    Dns: flags.dns,
    DnsOptions: [...flags["dns-option"], ...flags["dns-opt"]],
    DnsSearch: flags["dns-search"],
    ExtraHosts: flags["add-host"].map(extraHost),
    Links: defaultLinks(flags),
    GroupAdd: flags["group-add"],
    IpcMode: flags.ipc,
    PidMode: flags.pid,
    UTSMode: flags.uts,
    UsernsMode: flags.userns,
    CgroupnsMode: flags.cgroupns,
    LogConfig: logConfig(flags),
    StorageOpt: pairs(flags["storage-opt"]),
    Sysctls: pairs(flags.sysctl),
    Annotations: pairs(flags.annotation),
    Runtime: flags.runtime,
    Isolation: flags.isolation,
    Init: given("init") ? flags.init : undefined,
    ConsoleSize: rows > 0 ? [rows, columns] : undefined,
    ShmSize: flags["shm-size"],
  };
}

function resourceFields({ flags, given }: CreateInput): Body {
  const swappiness = flags["memory-swappiness"];
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw new Error(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  }
  const cdi = flags.device.filter(isCdiDevice);
  const requests = [
    ...(flags.gpus === "" ? [] : [parseGpus(flags.gpus)]),
    ...(cdi.length === 0 ? [] : [{ Driver: "cdi", DeviceIDs: cdi }]),
  ];
  const throttles = (name: "read-bps" | "read-iops" | "write-bps" | "write-iops") =>
    flags[`device-${name}`].map((text) => parseThrottle(text, name.endsWith("bps") ? "bytes" : "count"));
  return {
    CgroupParent: flags["cgroup-parent"],
    Memory: flags.memory,
    MemoryReservation: flags["memory-reservation"],
    MemorySwap: flags["memory-swap"],
    MemorySwappiness: swappiness === -1 ? undefined : swappiness,
    NanoCpus: flags.cpus,
    CpuShares: flags["cpu-shares"],
    CpuPeriod: flags["cpu-period"],
    CpuQuota: flags["cpu-quota"],
    CpuRealtimePeriod: flags["cpu-rt-period"],
    CpuRealtimeRuntime: flags["cpu-rt-runtime"],
    CpusetCpus: flags["cpuset-cpus"],
    CpusetMems: flags["cpuset-mems"],
    PidsLimit: given("pids-limit") ? flags["pids-limit"] : undefined,
    BlkioWeight: flags["blkio-weight"],
    BlkioWeightDevice: flags["blkio-weight-device"].map(parseWeight),
    BlkioDeviceReadBps: throttles("read-bps"),
    BlkioDeviceReadIOps: throttles("read-iops"),
    BlkioDeviceWriteBps: throttles("write-bps"),
    BlkioDeviceWriteIOps: throttles("write-iops"),
    Devices: flags.device.filter((text) => !isCdiDevice(text)).map(parseDevice),
    DeviceCgroupRules: flags["device-cgroup-rule"].map(cgroupRule),
    DeviceRequests: requests,
    Ulimits: ulimits(flags.ulimit),
    OomKillDisable: given("oom-kill-disable") ? flags["oom-kill-disable"] : undefined,
    OomScoreAdj: flags["oom-score-adj"],
  };
}

async function securityFields(flags: CreateValues): Promise<Body> {
  const options = await Promise.all(flags["security-opt"].map(securityOption));
  const { add, drop } = capabilities(flags["cap-add"], flags["cap-drop"]);
  return {
    CapAdd: add,
    CapDrop: drop,
    Privileged: flags.privileged,
    ReadonlyRootfs: flags["read-only"],
    SecurityOpt: options.filter((option) => option !== UNCONFINED_PATHS),
  };
}

/** Docker's client knows this option, its engine does not: nothing is masked then, which is not the same as no word of it. */
const UNCONFINED_PATHS = "systempaths=unconfined";

function withPaths(flags: CreateValues, fields: Body): Body | undefined {
  const unconfined = flags["security-opt"].includes(UNCONFINED_PATHS);
  return { ...clean(fields), ...(unconfined ? { MaskedPaths: [], ReadonlyPaths: [] } : {}) };
}

/** A seccomp profile is a file of ours: its content is sent, for the engine may be elsewhere. */
async function securityOption(text: string): Promise<string> {
  const [key, value] = splitPair(text);
  if (key === "no-new-privileges" && value === "") return text;
  if (!text.includes("=")) {
    if (text.includes(":")) return text;
    throw new Error(`invalid --security-opt: ${JSON.stringify(text)}`);
  }
  if (key !== "seccomp" || value === "unconfined" || value === "builtin") return text;
  try {
    return `seccomp=${JSON.stringify(JSON.parse(await readFileText(value)))}`;
  } catch (error) {
    throw new Error(`opening seccomp profile (${value}) failed: ${(error as Error).message}`);
  }
}

function logConfig(flags: CreateValues): Body | undefined {
  const options = pairs(flags["log-opt"]);
  if (flags["log-driver"] === "none" && flags["log-opt"].length > 0) {
    throw new Error("invalid logging opts for driver none");
  }
  if (flags["log-driver"] === "" && flags["log-opt"].length === 0) return undefined;
  return { Type: flags["log-driver"], Config: options };
}

function tmpfsPair(text: string): [path: string, options: string] {
  const at = text.indexOf(":");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function cgroupRule(text: string): string {
  if (/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text)) return text;
  throw new Error(`invalid device cgroup format '${text}'`);
}

/** Leaves out what is empty, so that the engine's own defaults hold. */
function clean(body: Body): Body {
  return Object.fromEntries(
    Object.entries(body).filter(([, value]) => {
      if (value === undefined || value === "" || value === 0 || value === false) return false;
      if (Array.isArray(value)) return value.length > 0;
      return typeof value !== "object" || value === null || Object.keys(value).length > 0;
    }),
  );
}
