import { JsonReader, SlipwayError } from "@slipway/base";
import { type Descriptor, readDescriptor } from "./descriptor.ts";
import { isIndexType, isManifestType, MEDIA_TYPES } from "./media-types.ts";

/** The largest manifest or index that is accepted, in bytes. */
export const MAX_MANIFEST_SIZE = 8 * 1024 * 1024;

export interface Manifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly config: Descriptor;
  /** Bottom first. */
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Index {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Reads a manifest or an index. The media type in the document wins over `announced`, the one that it came with.
 * Throws `invalid` for what is neither, and for Docker's schema 1.
 */
export function parseManifest(bytes: Uint8Array, announced?: string): Manifest | Index {
  if (bytes.length > MAX_MANIFEST_SIZE) {
    throw new SlipwayError("exhausted", `manifest of ${bytes.length} bytes is over the limit of ${MAX_MANIFEST_SIZE}`);
  }
  const reader = JsonReader.parse(bytes, "manifest");
  if (reader.field("schemaVersion").number() === 1) {
    throw new SlipwayError("invalid", "the image uses Docker's manifest schema 1, which is no longer supported", {
      hint: "Push the image again with a current client.",
    });
  }
  const mediaType = reader.field("mediaType").optionalString() ?? announced ?? guessMediaType(reader);
  if (isIndexType(mediaType)) return readIndex(reader, mediaType);
  if (isManifestType(mediaType)) return readManifest(reader, mediaType);
  throw new SlipwayError("invalid", `unknown manifest media type '${mediaType}'`);
}

function guessMediaType(reader: JsonReader): string {
  return reader.field("manifests").optional() ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest;
}

function readManifest(reader: JsonReader, mediaType: string): Manifest {
  return {
    kind: "manifest",
    mediaType,
    config: readDescriptor(reader.field("config")),
    layers: reader.field("layers").array().map(readDescriptor),
    ...commonFields(reader),
  };
}

function readIndex(reader: JsonReader, mediaType: string): Index {
  return {
    kind: "index",
    mediaType,
    manifests: reader.field("manifests").array().map(readDescriptor),
    ...commonFields(reader),
  };
}

function commonFields(reader: JsonReader): Pick<Manifest, "subject" | "artifactType" | "annotations"> {
  const subject = reader.field("subject").optional();
  const artifactType = reader.field("artifactType").optionalString();
  const annotations = reader.field("annotations").optional()?.stringMap();
  return {
    ...(subject && { subject: readDescriptor(subject) }),
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  };
}

/** The bytes of an image manifest, always the same for the same content. */
export function encodeManifest(manifest: Omit<Manifest, "kind">): Uint8Array {
  const { mediaType, artifactType, config, layers, subject, annotations } = manifest;
  const document = { schemaVersion: 2, mediaType, artifactType, config, layers, subject, annotations };
  return new TextEncoder().encode(JSON.stringify(document));
}

/** The bytes of an index. */
export function encodeIndex(index: Omit<Index, "kind">): Uint8Array {
  const { mediaType, artifactType, manifests, subject, annotations } = index;
  const document = {
    schemaVersion: 2,
    mediaType,
    artifactType,
    manifests: manifests.map(wireDescriptor),
    subject,
    annotations,
  };
  return new TextEncoder().encode(JSON.stringify(document));
}

/** A descriptor as JSON writes it: the platform's `osVersion` is `os.version` there. */
function wireDescriptor(descriptor: Descriptor): Record<string, unknown> {
  const { platform, ...rest } = descriptor;
  if (platform === undefined) return rest;
  const { osVersion, ...wire } = platform;
  return { ...rest, platform: osVersion === undefined ? wire : { ...wire, "os.version": osVersion } };
}
