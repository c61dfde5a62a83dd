import { type Descriptor, MAX_MANIFEST_SIZE, type Platform, parseImageConfig, type Reference } from "@slipway/oci";
import { parseRemote, remoteName } from "./image-documents.ts";
import { isAttestation } from "./platforms.ts";
import { explained } from "./pull.ts";
import type { RemoteDocument, Repository } from "./repository.ts";

export interface RemoteDescription {
  readonly descriptor: Descriptor;
  readonly platforms: readonly Platform[];
}

/** What a name means in a registry, without its layers. */
export async function describeImage(
  repository: Repository,
  reference: Reference,
  signal: AbortSignal,
): Promise<RemoteDescription> {
  const document = await rawDocument(repository, reference, signal);
  const parsed = parseRemote(document);
  const { digest, bytes } = document;
  const descriptor = { mediaType: parsed.mediaType, digest, size: bytes.length };
  if (parsed.kind === "index") {
    const images = parsed.manifests.filter((entry) => !isAttestation(entry));
    return { descriptor, platforms: images.flatMap(({ platform }) => platform ?? []) };
  }
  const config = await repository.blob(parsed.config, MAX_MANIFEST_SIZE, signal).then(
    (found) => parseImageConfig(found),
    () => undefined,
  );
  if (config === undefined) return { descriptor, platforms: [] };
  const { os, architecture, variant } = config;
  return { descriptor, platforms: [{ os, architecture, ...(variant !== undefined && { variant }) }] };
}

/** The manifest or index itself, as it is. */
export async function rawDocument(
  repository: Repository,
  reference: Reference,
  signal: AbortSignal,
): Promise<RemoteDocument> {
  try {
    return await repository.manifest(remoteName(reference), signal);
  } catch (error) {
    throw explained(error, reference);
  }
}
