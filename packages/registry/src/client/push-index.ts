import { type Descriptor, type Digest, isIndexType, parseManifest } from "@slipway/oci";
import type { Image, Store } from "@slipway/store";
import { copyDocument } from "./copy.ts";
import { storedSource } from "./layer-content.ts";
import type { PushTarget } from "./layer-uploads.ts";
import { pushDocument } from "./push-document.ts";
import { Repository } from "./repository.ts";
import { uploadBlob } from "./upload.ts";

/** An index that came with an image: its bytes, and what it names besides this image's own manifest. */
export interface KnownIndex {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
  readonly others: readonly Descriptor[];
}

/** The index that an image was pulled or loaded with, if it is kept. */
export async function indexOf(store: Store, image: Image): Promise<KnownIndex | undefined> {
  const { target, manifestDigest } = image;
  if (!isIndexType(target.mediaType) || store.blobs.stat(target.digest) === undefined) return undefined;
  const bytes = await store.blobs.readAll(target.digest);
  const parsed = parseManifest(bytes, target.mediaType);
  if (parsed.kind !== "index" || !parsed.manifests.some(({ digest }) => digest === manifestDigest)) return undefined;
  const others = parsed.manifests.filter(({ digest }) => digest !== manifestDigest);
  return { bytes, mediaType: parsed.mediaType, digest: target.digest, others };
}

/**
 * Brings what an index names besides the image itself: the images of other platforms, attestations. From this store, or
 * from another repository of the same registry. False when something is nowhere: then the index cannot go there whole.
 */
export async function pushOthers(store: Store, image: Image, index: KnownIndex, target: PushTarget): Promise<boolean> {
  for (const entry of index.others) {
    if ((await target.repository.head(entry.digest, target.signal)) !== undefined) continue;
    const done = (await pushStored(store, entry, target)) || (await copyFromElsewhere(image, entry, target));
    if (!done) return false;
  }
  return true;
}

async function pushStored(store: Store, { digest }: Descriptor, target: PushTarget): Promise<boolean> {
  if (store.blobs.stat(digest) === undefined) return false;
  const bytes = await store.blobs.readAll(digest);
  const parsed = parseManifest(bytes);
  if (parsed.kind === "index") return false;
  const parts = [parsed.config, ...parsed.layers];
  if (parts.some((part) => store.blobs.stat(part.digest) === undefined)) return false;
  const { repository, scopes, signal } = target;
  for (const part of parts) {
    if (await repository.hasBlob(part.digest, scopes, signal)) continue;
    const quiet = { scopes, signal, onBytes: () => {}, onRetry: () => {} };
    await uploadBlob(repository, storedSource(store, part.digest), quiet);
  }
  await pushDocument(target, { reference: digest, bytes, mediaType: parsed.mediaType });
  return true;
}

async function copyFromElsewhere(image: Image, { digest }: Descriptor, target: PushTarget): Promise<boolean> {
  const { repository, domain, signal } = target;
  for (const known of image.repoDigests) {
    if (known.domain !== domain || known.path === repository.path) continue;
    const source = new Repository(repository.host, known.path);
    const document = await source.manifest(digest, signal).catch(() => undefined);
    if (document === undefined) continue;
    await copyDocument(source, repository, document, { signal });
    return true;
  }
  return false;
}
