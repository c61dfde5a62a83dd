import { JsonReader, SlipwayError } from "@slipway/base";
import { type DiffId, type Digest, digestOf, type ImageId, parseDigest } from "./digest.ts";
import type { Platform } from "./platform.ts";

/** Times are nanoseconds, as Go's `time.Duration` in JSON. Absent means: inherit. */
export interface Healthcheck {
  /** `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", line]`; empty means: inherit. */
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** How a container of the image runs, with Docker's field names, as it stands in the document. */
export interface RunConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  /** `NAME=value`, in order. */
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly StopTimeout?: number;
  readonly Shell?: readonly string[];
  readonly Healthcheck?: Healthcheck;
  readonly OnBuild?: readonly string[];
  readonly ArgsEscaped?: boolean;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** An image's config (OCI image specification 1.1, config.md). */
export interface ImageConfig extends Platform {
  readonly created?: string;
  readonly author?: string;
  readonly config: RunConfig;
  /** Bottom first. */
  readonly diffIds: readonly DiffId[];
  readonly history: readonly HistoryEntry[];
}

/** Reads an image config. Throws `invalid` that names the field. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const reader = JsonReader.parse(bytes, "image config");
  const rootfs = reader.field("rootfs");
  const type = rootfs.field("type").optionalString();
  if (type !== undefined && type !== "layers") {
    throw new SlipwayError("invalid", `image config: rootfs: type is '${type}', expected 'layers'`);
  }
  const created = reader.field("created").optionalString();
  const author = reader.field("author").optionalString();
  const variant = reader.field("variant").optionalString();
  const osVersion = reader.field("os.version").optionalString();
  return {
    ...(created !== undefined && { created }),
    ...(author !== undefined && { author }),
    os: reader.field("os").optionalString() ?? "linux",
    architecture: reader.field("architecture").optionalString() ?? "amd64",
    ...(variant ? { variant } : {}),
    ...(osVersion ? { osVersion } : {}),
    config: readRunConfig(reader.field("config")),
    diffIds: rootfs
      .field("diff_ids")
      .strings()
      .map((text) => parseDigest(text) as DiffId),
    history: reader.field("history").array().map(readHistoryEntry),
  };
}

/** Reads a `Config` object of an image or of an API request; unknown fields are left out. */
export function readRunConfig(reader: JsonReader): RunConfig {
  if (reader.optional() === undefined) return {};
  const health = reader.field("Healthcheck").optional();
  return withoutAbsent({
    User: reader.field("User").optionalString(),
    ExposedPorts: readSet(reader.field("ExposedPorts")),
    Env: reader.field("Env").optional()?.strings(),
    Entrypoint: reader.field("Entrypoint").optional()?.strings(),
    Cmd: reader.field("Cmd").optional()?.strings(),
    Volumes: readSet(reader.field("Volumes")),
    WorkingDir: reader.field("WorkingDir").optionalString(),
    Labels: reader.field("Labels").optional()?.stringMap(),
    StopSignal: reader.field("StopSignal").optionalString(),
    StopTimeout: reader.field("StopTimeout").optionalNumber(),
    Shell: reader.field("Shell").optional()?.strings(),
    Healthcheck: health && readHealthcheck(health),
    OnBuild: reader.field("OnBuild").optional()?.strings(),
    ArgsEscaped: reader.field("ArgsEscaped").optionalBoolean(),
  });
}

function readSet(reader: JsonReader): Record<string, object> | undefined {
  return reader.optional() && Object.fromEntries(reader.keys().map((key) => [key, {}]));
}

function readHealthcheck(reader: JsonReader): Healthcheck {
  return withoutAbsent({
    Test: reader.field("Test").optional()?.strings(),
    Interval: reader.field("Interval").optionalNumber(),
    Timeout: reader.field("Timeout").optionalNumber(),
    StartPeriod: reader.field("StartPeriod").optionalNumber(),
    StartInterval: reader.field("StartInterval").optionalNumber(),
    Retries: reader.field("Retries").optionalNumber(),
  });
}

function readHistoryEntry(reader: JsonReader): HistoryEntry {
  return withoutAbsent({
    created: reader.field("created").optionalString(),
    created_by: reader.field("created_by").optionalString(),
    author: reader.field("author").optionalString(),
    comment: reader.field("comment").optionalString(),
    empty_layer: reader.field("empty_layer").optionalBoolean(),
  });
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function withoutAbsent<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** The bytes of an image config, always the same for the same content, and so the image's ID. */
export function encodeImageConfig(image: ImageConfig): { readonly bytes: Uint8Array; readonly id: ImageId } {
  const document = {
    created: image.created,
    author: image.author,
    architecture: image.architecture,
    variant: image.variant,
    os: image.os,
    "os.version": image.osVersion,
    config: image.config,
    rootfs: { type: "layers", diff_ids: image.diffIds },
    history: image.history,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(document));
  return { bytes, id: digestOf(bytes) as Digest as ImageId };
}
