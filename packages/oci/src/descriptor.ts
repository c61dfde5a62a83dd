import type { JsonReader } from "@slipway/base";
import { type Digest, parseDigest } from "./digest.ts";
import { type Platform, readPlatform } from "./platform.ts";

/** A reference to content (OCI image specification 1.1, descriptor.md). `size` is in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
  readonly urls?: readonly string[];
}

export function readDescriptor(reader: JsonReader): Descriptor {
  const annotations = reader.field("annotations").optional()?.stringMap();
  const platform = reader.field("platform").optional();
  const artifactType = reader.field("artifactType").optionalString();
  const urls = reader.field("urls").optional()?.strings();
  return {
    mediaType: reader.field("mediaType").string(),
    digest: parseDigest(reader.field("digest").string()),
    size: reader.field("size").natural(),
    ...(annotations && { annotations }),
    ...(platform && { platform: readPlatform(platform) }),
    ...(artifactType !== undefined && { artifactType }),
    ...(urls && { urls }),
  };
}
