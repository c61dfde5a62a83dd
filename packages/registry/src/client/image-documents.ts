import { SlipwayError } from "@slipway/base";
import {
  type Descriptor,
  digestOf,
  formatReference,
  type ImageConfig,
  type ImageId,
  type Index,
  isDigest,
  isIndexType,
  isManifestType,
  layerCompression,
  MAX_MANIFEST_SIZE,
  type Manifest,
  MEDIA_TYPES,
  type Platform,
  parseImageConfig,
  parseManifest,
  type Reference,
} from "@slipway/oci";
import { selectPlatform } from "./platforms.ts";
import type { RemoteDocument, Repository } from "./repository.ts";

/** What an image consists of, as a registry has it; every byte verified. */
export interface RemoteImage {
  readonly id: ImageId;
  readonly repository: Repository;
  /** What the reference led to: the index, or the manifest itself. */
  readonly target: Descriptor;
  /** Bytes of the index, if the reference led to one. */
  readonly indexBytes?: Uint8Array;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
}

/** How deep indexes may lie in indexes: no honest image has more than one in one. */
const MOST_NESTED = 4;

/** Fetches manifest and config of the image for a platform. Throws `not-found`, `invalid` for what is no image. */
export async function fetchImage(
  repository: Repository,
  reference: Reference,
  options: { readonly platform: Platform | undefined; readonly signal: AbortSignal },
): Promise<RemoteImage> {
  const { platform, signal } = options;
  const first = await repository.manifest(reference.digest ?? reference.tag ?? "latest", signal);
  const firstParsed = parseRemote(first);
  const target = { mediaType: firstParsed.mediaType, digest: first.digest, size: first.bytes.length };
  let document = first;
  let parsed = firstParsed;
  for (let depth = 0; parsed.kind === "index"; depth++) {
    if (depth === MOST_NESTED)
      throw new SlipwayError("invalid", `indexes lie more than ${MOST_NESTED} deep in each other`);
    const chosen = selectPlatform(parsed, platform, formatReference(reference));
    document = await repository.manifest(chosen.digest, signal);
    parsed = parseRemote(document);
  }
  checkManifest(parsed);
  const configBytes = await repository.blob(parsed.config, MAX_MANIFEST_SIZE, signal);
  const config = parseImageConfig(configBytes);
  if (config.diffIds.length !== parsed.layers.length) {
    throw new SlipwayError(
      "invalid",
      `the manifest has ${parsed.layers.length} layers, but the config names ${config.diffIds.length}`,
    );
  }
  return {
    id: digestOf(configBytes) as ImageId,
    repository,
    target,
    ...(firstParsed.kind === "index" && { indexBytes: first.bytes }),
    manifest: parsed,
    manifestBytes: document.bytes,
    config,
    configBytes,
  };
}

export function parseRemote({ bytes, mediaType }: RemoteDocument): Manifest | Index {
  const announced = isIndexType(mediaType) || isManifestType(mediaType) ? mediaType : undefined;
  return parseManifest(bytes, announced);
}

const CONFIG_TYPES = new Set<string>([MEDIA_TYPES.ociConfig, MEDIA_TYPES.dockerConfig, "application/octet-stream"]);

/** Refuses what can be fetched but not run: artifacts, layers that lie elsewhere, layers that cannot be read. */
function checkManifest({ config, layers, artifactType }: Manifest): void {
  if (!CONFIG_TYPES.has(config.mediaType)) {
    const kind = artifactType ?? config.mediaType;
    throw new SlipwayError("invalid", `this is no image: it is an artifact of the type ${kind.slice(0, 200)}`, {
      hint: "Get it with the tool that made it.",
    });
  }
  for (const { mediaType, digest } of layers) {
    if (layerCompression(mediaType) !== undefined) continue;
    if (/foreign|nondistributable/.test(mediaType)) {
      throw new SlipwayError(
        "not-implemented",
        `layer ${digest} is a foreign layer, which is not kept in the registry`,
        {
          hint: "Foreign layers belong to Windows images, which do not run here.",
        },
      );
    }
    if (mediaType.endsWith("+encrypted")) {
      throw new SlipwayError("not-implemented", `layer ${digest} is encrypted`, { hint: "Decrypt the image first." });
    }
    throw new SlipwayError(
      "invalid",
      `layer ${digest} has the media type '${mediaType.slice(0, 200)}', which is no layer`,
    );
  }
}

/** The name by which the registry knows what a reference means: its digest, or its tag. */
export function remoteName({ digest, tag }: Reference): string {
  return digest !== undefined && isDigest(digest) ? digest : (tag ?? "latest");
}
