import { familiarReference, type ImageConfig } from "@slipway/oci";
import type { ApiVersion } from "../api-version.ts";
import type { Image, ImageHistoryItem } from "../backend.ts";
import { timestamp, unixSeconds, ZERO_TIME } from "./time.ts";

type Document = Record<string, unknown>;

/** An element of `GET /images/json`. */
export function imageSummary(
  entry: { readonly image: Image; readonly containers: number; readonly sharedBytes?: number },
  version: ApiVersion,
  options: { readonly counted?: boolean; readonly manifests?: readonly Document[] } = {},
): Document {
  const { image } = entry;
  const dangling = image.names.length === 0;
  return {
    // Lists told the number of containers only since 1.51.
    Containers: version < 51 && options.counted !== true ? -1 : entry.containers,
    Created: createdSeconds(image),
    Id: image.id,
    Labels: image.config.config.Labels ?? null,
    ParentId: "",
    RepoDigests: image.repoDigests.length === 0 && dangling && version < 43 ? ["<none>@<none>"] : repoDigests(image),
    RepoTags: dangling && version < 43 ? ["<none>:<none>"] : repoTags(image),
    SharedSize: entry.sharedBytes ?? -1,
    Size: image.size,
    ...(version < 44 && { VirtualSize: image.size }),
    ...(version >= 48 && { Descriptor: image.target }),
    ...(options.manifests && { Manifests: options.manifests }),
  };
}

/** The one manifest of an image, as an element of `Manifests`. */
export function manifestDocument(image: Image, containers: readonly string[]): Document {
  const { manifest, manifestDigest, config } = image;
  const content = manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size);
  return {
    ID: manifestDigest,
    Descriptor: manifestDescriptor(image),
    Available: true,
    Kind: "image",
    Size: { Total: content + image.size, Content: content },
    ImageData: { Platform: platformDocument(config), Containers: containers, Size: { Unpacked: image.size } },
  };
}

/** The target, unless that is an index: then what is known of the manifest in it. */
function manifestDescriptor({ target, manifest, manifestDigest }: Image): Document {
  if (target.digest === manifestDigest) return { ...target };
  return { mediaType: manifest.mediaType, digest: manifestDigest };
}

function platformDocument({ os, architecture, variant }: ImageConfig): Document {
  return { architecture, os, ...(variant !== undefined && { variant }) };
}

/** `GET /images/{name}/json`. */
export function imageDocument(image: Image, version: ApiVersion, manifests?: readonly Document[]): Document {
  const { config } = image;
  return {
    Id: image.id,
    RepoTags: repoTags(image),
    RepoDigests: repoDigests(image),
    ...withoutEmpty(version, {
      Parent: "",
      Comment: config.history.findLast((entry) => entry.comment)?.comment ?? "",
      DockerVersion: "",
      Author: config.author ?? "",
    }),
    Created: config.created ?? (version < 44 ? ZERO_TIME : undefined),
    Config: configDocument(config, version),
    // Of the container that a layer was committed from.
    ...(version < 45 && { Container: "", ContainerConfig: configDocument({ ...config, config: {} }, version) }),
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
    ...(manifests && { Manifests: manifests }),
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

/** Since 1.52 what is not set is left out. */
function withoutEmpty(version: ApiVersion, fields: Document): Document {
  if (version < 52) return fields;
  const isSet = (value: unknown) => value !== "" && value !== null && value !== undefined;
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isSet(value)));
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
    ...withoutEmpty(version, {
      User: config.User ?? "",
      Env: config.Env ?? (version < 50 ? null : version < 52 ? [] : undefined),
      Cmd: config.Cmd ?? null,
      Volumes: config.Volumes ?? null,
      WorkingDir: config.WorkingDir ?? "",
      Entrypoint: config.Entrypoint ?? null,
      OnBuild: config.OnBuild ?? null,
      Labels: config.Labels ?? null,
    }),
    ...(config.ExposedPorts && { ExposedPorts: config.ExposedPorts }),
    ...(config.Healthcheck && { Healthcheck: config.Healthcheck }),
    ...(config.ArgsEscaped && { ArgsEscaped: true }),
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
