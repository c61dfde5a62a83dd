import type { ApiVersion } from "../api-version.ts";
import type { Container, ContainerListItem, ContainerMount } from "../backend.ts";
import { endpointDocuments, networkSettings } from "./endpoint.ts";
import { hostConfigDocument } from "./host-config.ts";
import { timestamp, unixSeconds } from "./time.ts";

type Document = Record<string, unknown>;

/** An element of `GET /containers/json`. */
export function containerSummary(item: ContainerListItem, version: ApiVersion): Document {
  const { container } = item;
  return {
    Id: container.id,
    Names: [`/${container.name}`, ...container.linkNames],
    Image: item.imageName,
    ImageID: container.imageId,
    Command: commandLine(container),
    Created: unixSeconds(container.created),
    Ports: portList(container),
    ...(item.sizes && { SizeRw: item.sizes.rw, SizeRootFs: item.sizes.rootFs }),
    Labels: container.config.Labels ?? {},
    State: container.state.status,
    Status: item.status,
    HostConfig: { NetworkMode: container.hostConfig.NetworkMode ?? "default", ...annotations(container, version) },
    NetworkSettings: { Networks: endpointDocuments(container, version) },
    Mounts: container.mounts.map(mountDocument),
  };
}

/** `GET /containers/{id}/json`. */
export function containerDocument(item: ContainerListItem, version: ApiVersion): Document {
  const { container } = item;
  const { layers } = container;
  return {
    Id: container.id,
    Created: timestamp(container.created),
    Path: container.path,
    Args: container.args,
    State: stateDocument(container),
    Image: container.imageId,
    ResolvConfPath: container.resolvConfPath,
    HostnamePath: container.hostnamePath,
    HostsPath: container.hostsPath,
    LogPath: container.logPath,
    Name: `/${container.name}`,
    RestartCount: container.state.restartCount,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: container.execIds.length === 0 ? null : container.execIds,
    HostConfig: hostConfigDocument(container.hostConfig, version),
    GraphDriver: {
      Data: { LowerDir: layers.lower, MergedDir: layers.merged, UpperDir: layers.upper, WorkDir: layers.work },
      Name: "overlay2",
    },
    ...(item.sizes && { SizeRw: item.sizes.rw, SizeRootFs: item.sizes.rootFs }),
    Mounts: container.mounts.map(mountDocument),
    Config: configDocument(container, version),
    NetworkSettings: networkSettings(container, version),
  };
}

function stateDocument({ state }: Container): Document {
  const { status, health } = state;
  return {
    Status: status,
    Running: status === "running" || status === "paused" || status === "restarting",
    Paused: status === "paused",
    Restarting: status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: status === "dead",
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: timestamp(state.startedAt),
    FinishedAt: timestamp(state.finishedAt),
    ...(health && {
      Health: {
        Status: health.status,
        FailingStreak: health.failingStreak,
        Log: health.log.map((probe) => ({
          Start: timestamp(probe.start),
          End: timestamp(probe.end),
          ExitCode: probe.exitCode,
          Output: probe.output,
        })),
      },
    }),
  };
}

function configDocument({ config }: Container, version: ApiVersion): Document {
  return {
    Hostname: config.Hostname ?? "",
    Domainname: config.Domainname ?? "",
    User: config.User ?? "",
    AttachStdin: config.AttachStdin ?? false,
    AttachStdout: config.AttachStdout ?? false,
    AttachStderr: config.AttachStderr ?? false,
    ...(config.ExposedPorts && { ExposedPorts: config.ExposedPorts }),
    Tty: config.Tty ?? false,
    OpenStdin: config.OpenStdin ?? false,
    StdinOnce: config.StdinOnce ?? false,
    Env: config.Env ?? [],
    Cmd: config.Cmd ?? null,
    ...(config.Healthcheck && { Healthcheck: config.Healthcheck }),
    ...(config.ArgsEscaped && { ArgsEscaped: true }),
    Image: config.Image,
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    ...(config.NetworkDisabled && { NetworkDisabled: true }),
    ...(config.MacAddress && { MacAddress: config.MacAddress }),
    ...((version < 52 || config.OnBuild !== undefined) && { OnBuild: config.OnBuild ?? null }),
    Labels: config.Labels ?? {},
    ...(config.StopSignal && { StopSignal: config.StopSignal }),
    ...(config.StopTimeout !== undefined && { StopTimeout: config.StopTimeout }),
    ...(config.Shell && { Shell: config.Shell }),
  };
}

function mountDocument(mount: ContainerMount): Document {
  return {
    Type: mount.type,
    ...(mount.name !== undefined && { Name: mount.name }),
    Source: mount.source,
    Destination: mount.destination,
    ...(mount.driver !== undefined && { Driver: mount.driver }),
    Mode: mount.mode,
    RW: mount.readWrite,
    Propagation: mount.propagation,
  };
}

function portList(container: Container): Document[] {
  return Object.entries(container.ports).flatMap(([key, bindings]): Document[] => {
    const [port, type = "tcp"] = key.split("/");
    const common = { PrivatePort: Number(port), Type: type };
    if (bindings === null || bindings.length === 0) return [common];
    return bindings.map((binding) => ({ IP: binding.HostIp, ...common, PublicPort: Number(binding.HostPort) }));
  });
}

function annotations({ hostConfig }: Container, version: ApiVersion): Document {
  const { Annotations } = hostConfig;
  return version >= 46 && Annotations !== undefined && Object.keys(Annotations).length > 0 ? { Annotations } : {};
}

/** Path and arguments in one line; those with a space are quoted, for the eye only. */
function commandLine(container: Container): string {
  const args = container.args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg));
  return [container.path, ...args].join(" ");
}
