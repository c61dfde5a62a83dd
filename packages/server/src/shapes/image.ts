import { familiarReference, type ImageConfig } from "@slipway/oci";
import type { ApiVersion } from "../api-version.ts";
import type { Image, ImageHistoryItem } from "../backend.ts";
import { timestamp, unixSeconds, ZERO_TIME } from "./time.ts";

type Document = Record<string, unknown>;

/** An element of `GET /images/json`. */
export function imageSummary(
  entry: { readonly image: Image; readonly containers: number; readonly sharedBytes?: number },
  version: ApiVersion,
): Document {
  const { image } = entry;
  const dangling = image.names.length === 0;
  return {
    Containers: entry.containers,
    Created: createdSeconds(image),
    Id: image.id,
    Labels: image.config.config.Labels ?? null,
    ParentId: "",
    RepoDigests: image.repoDigests.length === 0 && dangling && version < 43 ? ["<none>@<none>"] : repoDigests(image),
    RepoTags: dangling && version < 43 ? ["<none>:<none>"] : repoTags(image),
    SharedSize: entry.sharedBytes ?? -1,
    Size: image.size,
    ...(version < 44 && { VirtualSize: image.size }),
  };
}

/** `GET /images/{name}/json`. */
export function imageDocument(image: Image, version: ApiVersion): Document {
  const { config } = image;
  return {
    Id: image.id,
    RepoTags: repoTags(image),
    RepoDigests: repoDigests(image),
    Parent: "",
    Comment: config.history.findLast((entry) => entry.comment)?.comment ?? "",
    Created: config.created ?? (version < 44 ? ZERO_TIME : undefined),
    DockerVersion: "",
    Author: config.author ?? "",
    Config: configDocument(config, version),
    ...(version < 45 && { Container: "", ContainerConfig: null }),
    Architecture: config.architecture,
    ...(config.variant !== undefined && { Variant: config.variant }),
    Os: config.os,
    ...(config.osVersion !== undefined && { OsVersion: config.osVersion }),
    Size: image.size,
    ...(version < 44 && { VirtualSize: image.size }),
    GraphDriver: { Data: null, Name: "overlay2" },
    RootFS: { Type: "layers", Layers: config.diffIds },
    Metadata: { LastTagTime: image.names.length === 0 ? ZERO_TIME : timestamp(image.storedAt) },
    ...(version >= 48 && { Descriptor: image.target }),
  };
}

export function historyDocument(item: ImageHistoryItem): Document {
  return {
    Comment: item.comment ?? "",
    Created: item.created === undefined ? 0 : unixSeconds(Date.parse(item.created) || 0),
    CreatedBy: item.created_by ?? "",
    Id: item.id,
    Size: item.size,
    Tags: item.tags.length === 0 ? null : item.tags,
  };
}

/** Up to 1.49 the fields that only containers have are there too, empty. */
function configDocument(image: ImageConfig, version: ApiVersion): Document {
  const { config } = image;
  const containerOnly = {
    Hostname: "",
    Domainname: "",
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Image: "",
  };
  return {
    ...(version < 50 && containerOnly),
    User: config.User ?? "",
    ...(config.ExposedPorts && { ExposedPorts: config.ExposedPorts }),
    Env: config.Env ?? (version < 50 ? null : []),
    Cmd: config.Cmd ?? null,
    ...(config.Healthcheck && { Healthcheck: config.Healthcheck }),
    ...(config.ArgsEscaped && { ArgsEscaped: true }),
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? "",
    Entrypoint: config.Entrypoint ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? null,
    ...(config.StopSignal && { StopSignal: config.StopSignal }),
    ...(config.Shell && { Shell: config.Shell }),
  };
}

function repoTags(image: Image): string[] {
  return image.names.map(familiarReference);
}

function repoDigests(image: Image): string[] {
  return image.repoDigests.map(familiarReference);
}

function createdSeconds(image: Image): number {
  const created = image.config.created === undefined ? Number.NaN : Date.parse(image.config.created);
  return Number.isNaN(created) ? 0 : unixSeconds(created);
}
