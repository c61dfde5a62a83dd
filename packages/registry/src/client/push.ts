import { SlipwayError } from "@slipway/base";
import {
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestOf,
  encodeManifest,
  familiarName,
  familiarReference,
  formatPlatform,
  formatReference,
  MEDIA_TYPES,
  type Platform,
  platformMatches,
  type Reference,
} from "@slipway/oci";
import type { Image, Store } from "@slipway/store";
import type { Credentials } from "./credentials.ts";
import { refusedWith } from "./failures.ts";
import type { RegistryHosts } from "./host.ts";
import type { LayerForm } from "./layer-content.ts";
import type { LayerToPush, LayerUploads, PushTarget } from "./layer-uploads.ts";
import type { OnProgress } from "./progress.ts";
import { pushDocument } from "./push-document.ts";
import { indexOf, pushOthers } from "./push-index.ts";
import { Repository } from "./repository.ts";
import { uploadBytes } from "./upload.ts";

export interface PushContext {
  readonly store: Store;
  readonly hosts: RegistryHosts;
  readonly uploads: LayerUploads;
}

export interface PushOptions {
  readonly credentials?: Credentials | undefined;
  /** Only this platform's manifest goes, without the index that it came with. Throws `not-found` if the image has another. */
  readonly platform?: Platform | undefined;
  /** Absent: as it is, and what has no form of its own in the one that travels best. */
  readonly form?: LayerForm | undefined;
  readonly onProgress?: OnProgress;
  readonly signal: AbortSignal;
}

export interface PushedImage {
  readonly digest: Digest;
  /** Bytes of the manifest. */
  readonly size: number;
}

/**
 * Sends the image of a name to its registry: layers that it lacks, all at once; the config; then the manifest, and with
 * that the tag. What came from a registry goes there byte for byte.
 */
export async function pushImage(
  context: PushContext,
  reference: Reference,
  options: PushOptions,
): Promise<PushedImage> {
  const { store, hosts } = context;
  const { signal } = options;
  const report = options.onProgress ?? (() => {});
  const image = store.images.find(formatReference(reference));
  if (image === undefined) {
    throw new SlipwayError("not-found", `tag does not exist: ${familiarReference(reference)}`);
  }
  requirePlatform(image, reference, options.platform);
  await using lease = store.leases.open(`push of ${formatReference(reference)}`);
  // Whatever its manifest names stays as long as this lasts.
  void lease;
  try {
    const repository = new Repository(await hosts.open(reference.domain, options.credentials, signal), reference.path);
    const scopes = [`repository:${reference.path}:pull,push`];
    const target: PushTarget = { repository, domain: reference.domain, scopes, form: options.form, report, signal };
    const layers = await pushBlobs(context, image, target);
    const { bytes, mediaType } = await manifestOf(store, image, layers);
    const alone = options.platform !== undefined;
    const whole = alone ? undefined : await pushWhole(store, image, { bytes, mediaType }, target);
    const { bytes: top, mediaType: type } = whole ?? { bytes, mediaType };
    const pushed = await pushDocument(target, {
      reference: reference.tag ?? digestOf(top),
      bytes: top,
      mediaType: type,
    });
    store.images.tag(image.id, { domain: reference.domain, path: reference.path, digest: pushed });
    report({ status: `${reference.tag ?? pushed}: digest: ${pushed} size: ${top.length}` });
    return { digest: pushed, size: top.length };
  } catch (error) {
    throw explainedPush(error, reference);
  }
}

function requirePlatform(image: Image, reference: Reference, platform: Platform | undefined): void {
  if (platform === undefined || platformMatches(platform, image.config)) return;
  const name = familiarReference(reference);
  throw new SlipwayError(
    "not-found",
    `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(platform)})`,
    { hint: `It is for ${formatPlatform(image.config)}: pull or build it for the other platform first.` },
  );
}

interface Document {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/** The index that the image came with, after all that it names is there; undefined when it goes without one. */
async function pushWhole(
  store: Store,
  image: Image,
  manifest: Document,
  target: PushTarget,
): Promise<Document | undefined> {
  const index = await indexOf(store, image);
  // An index names the manifest that it came with, and no other.
  if (index === undefined || digestOf(manifest.bytes) !== image.manifestDigest) return undefined;
  if (!(await pushOthers(store, image, index, target))) {
    target.report({ status: "Only this platform's image is pushed: the others of its index are not here" });
    return undefined;
  }
  await pushDocument(target, { reference: image.manifestDigest, ...manifest });
  return index;
}

/** Its manifest came from elsewhere, or went there already: others may know it by its digest. */
function isExact({ repoDigests, target, manifestDigest }: Image, form: LayerForm | undefined): boolean {
  if (form !== undefined) return false;
  return repoDigests.some(({ digest }) => digest === target.digest || digest === manifestDigest);
}

/** The layers and the config, all at once. */
async function pushBlobs({ store, uploads }: PushContext, image: Image, target: PushTarget): Promise<Descriptor[]> {
  const stop = new AbortController();
  const signal = AbortSignal.any([target.signal, stop.signal]);
  const exact = isExact(image, target.form);
  const work = image.layers.map(async (chainId, index) => {
    const layer = store.layers.get(chainId);
    const descriptor = image.manifest.layers[index];
    if (layer === undefined || descriptor === undefined)
      throw new SlipwayError("corrupt", `layer ${chainId} is missing`);
    const toPush: LayerToPush = { chainId, diffId: layer.diffId, tarSize: layer.tarSize, descriptor, exact };
    return await uploads.push(toPush, { ...target, signal });
  });
  const config = pushConfig(store, image, { ...target, signal });
  try {
    const [layers] = await Promise.all([Promise.all(work), config]);
    return layers;
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled([...work, config]);
    throw error;
  }
}

async function manifestOf(
  store: Store,
  image: Image,
  layers: readonly Descriptor[],
): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }> {
  const { manifest } = image;
  const same = layers.every(({ digest }, index) => digest === manifest.layers[index]?.digest);
  if (same) return { bytes: await store.blobs.readAll(image.manifestDigest), mediaType: manifest.mediaType };
  const size = store.blobs.stat(image.id)?.size ?? 0;
  const bytes = encodeManifest({
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: image.id, size },
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType: ociLayerType(mediaType), digest, size })),
    ...(manifest.annotations && { annotations: manifest.annotations }),
  });
  return { bytes, mediaType: MEDIA_TYPES.ociManifest };
}

/** An OCI manifest names OCI's layer types, also for layers that came with Docker's. */
function ociLayerType(mediaType: string): string {
  if (mediaType === MEDIA_TYPES.dockerLayer) return MEDIA_TYPES.ociLayer;
  return mediaType === MEDIA_TYPES.dockerLayerGzip ? MEDIA_TYPES.ociLayerGzip : mediaType;
}

async function pushConfig(store: Store, image: Image, target: PushTarget): Promise<void> {
  const { repository, scopes, signal } = target;
  const bytes = await store.blobs.readAll(image.id);
  const digest = digestOf(bytes, digestAlgorithm(image.manifest.config.digest));
  if (await repository.hasBlob(digest, scopes, signal)) return;
  await uploadBytes(repository, bytes, digest, { scopes, signal, onBytes: () => {}, onRetry: () => {} });
}

/** Refusals in Docker's words. */
function explainedPush(error: unknown, reference: Reference): unknown {
  const refused = refusedWith(error);
  if (refused === undefined || !(error instanceof SlipwayError)) return error;
  const { status, codes } = refused;
  if (status === 401 || status === 403 || codes.includes("DENIED")) {
    const cause = error.message.startsWith("denied") ? error.message : `denied: ${error.message}`;
    return new SlipwayError("forbidden", cause, {
      hint: `You may not push to ${familiarName(reference)}, or need to log in: slipway login ${reference.domain}`,
      cause: error,
      details: error.details,
    });
  }
  return error;
}
