import { SlipwayError } from "@slipway/base";
import {
  type Descriptor,
  digestAlgorithm,
  digestHex,
  digestOf,
  formatPlatform,
  hostPlatform,
  type Index,
  type Manifest,
  parseManifest,
  parseReference,
  platformMatches,
  type Reference,
  withDefaultTag,
} from "@slipway/oci";
import { CONTAINERD_NAME, REF_NAME } from "../oci-layout.ts";
import type { Archive, ArchivedImage } from "./archive-load.ts";

/** Indexes in indexes: one level is usual, a few are possible. */
const DEEPEST_INDEX = 4;

/** The images of an OCI layout; of images for several platforms, the one for this machine. */
export function readOciImages(archive: Archive): ArchivedImage[] {
  if (!archive.has("index.json")) {
    throw new SlipwayError("invalid", "this is not an image archive: it has neither manifest.json nor index.json", {
      hint: "A file system's tar becomes an image with 'import'.",
    });
  }
  const index = parseManifest(archive.document("index.json"), "application/vnd.oci.image.index.v1+json");
  if (index.kind !== "index") throw new SlipwayError("invalid", "index.json in the archive is not an index");
  const byManifest = new Map<string, ArchivedImage>();
  for (const descriptor of index.manifests) {
    const found = findManifest(archive, descriptor, 0);
    if (found === undefined) continue;
    const known = byManifest.get(found.digest);
    const names = [...(known?.names ?? []), ...namesOf(descriptor)];
    byManifest.set(found.digest, { ...found.image, names });
  }
  if (byManifest.size === 0) {
    throw new SlipwayError("not-found", `the archive has no image for ${formatPlatform(hostPlatform())}`);
  }
  return [...byManifest.values()];
}

function findManifest(
  archive: Archive,
  descriptor: Descriptor,
  depth: number,
): { readonly digest: string; readonly image: ArchivedImage } | undefined {
  // Attestations travel as manifests for a platform that does not exist.
  if (descriptor.platform?.os === "unknown") return undefined;
  const document = readDocument(archive, descriptor);
  if (document.parsed.kind === "manifest") {
    return { digest: descriptor.digest, image: imageOf(archive, document.parsed, document.bytes) };
  }
  if (depth >= DEEPEST_INDEX) throw new SlipwayError("invalid", "the archive's indexes are nested too deeply");
  return chooseManifest(archive, document.parsed, depth);
}

function chooseManifest(archive: Archive, index: Index, depth: number): ReturnType<typeof findManifest> {
  const here = hostPlatform();
  const fitting = index.manifests.filter(({ platform }) => platform !== undefined && platformMatches(here, platform));
  const candidates = fitting.length > 0 ? fitting : index.manifests.filter(({ platform }) => platform === undefined);
  for (const candidate of candidates) {
    const found = archive.has(pathOf(candidate)) ? findManifest(archive, candidate, depth + 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function imageOf(archive: Archive, manifest: Manifest, manifestBytes: Uint8Array): ArchivedImage {
  const configPath = pathOf(manifest.config);
  const configBytes = archive.document(configPath);
  checkDigest(configPath, configBytes, manifest.config);
  return { configBytes, manifestBytes, names: [], layerPaths: manifest.layers.map(pathOf) };
}

function readDocument(archive: Archive, descriptor: Descriptor): { parsed: Manifest | Index; bytes: Uint8Array } {
  const path = pathOf(descriptor);
  const bytes = archive.document(path);
  checkDigest(path, bytes, descriptor);
  return { parsed: parseManifest(bytes, descriptor.mediaType), bytes };
}

function checkDigest(path: string, bytes: Uint8Array, { digest }: Descriptor): void {
  const actual = digestOf(bytes, digestAlgorithm(digest));
  if (actual === digest) return;
  throw new SlipwayError("corrupt", `'${path}' in the archive has the digest ${actual}`, {
    hint: "The archive is damaged or was changed. Get it again.",
  });
}

function pathOf({ digest }: Descriptor): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/** containerd and Docker write the whole name; skopeo writes it, or only a tag, as reference name. A tag alone names nothing. */
function namesOf({ annotations }: Descriptor): Reference[] {
  const whole = annotations?.[CONTAINERD_NAME];
  if (whole !== undefined) return [withDefaultTag(parseReference(whole))];
  const name = annotations?.[REF_NAME];
  if (name === undefined || !/[:/]/.test(name)) return [];
  return [withDefaultTag(parseReference(name))];
}
