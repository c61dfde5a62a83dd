import { SlipwayError } from "@slipway/base";
import { type Descriptor, type Digest, isDigest, type Reference } from "@slipway/oci";
import { bodyOf } from "./body.ts";
import { parseRemote } from "./image-documents.ts";
import { pushDocument } from "./push-document.ts";
import type { RemoteDocument, Repository } from "./repository.ts";
import { mountBlob, type UploadSource, uploadBlob } from "./upload.ts";

export interface CopyOptions {
  readonly signal: AbortSignal;
}

/** How deep documents may name documents. */
const MOST_NESTED = 4;
const AT_ONCE = 4;

/** Makes a document of one repository whole in another, with all that it names; nothing is stored here. Byte for byte. */
export async function copyDocument(
  source: Repository,
  target: Repository,
  document: RemoteDocument,
  options: CopyOptions & { readonly tag?: string | undefined },
  depth = 0,
): Promise<Digest> {
  if (depth > MOST_NESTED) throw new SlipwayError("invalid", `indexes lie more than ${MOST_NESTED} deep in each other`);
  const { signal, tag } = options;
  const parsed = parseRemote(document);
  if (parsed.kind === "index") {
    for (const entry of parsed.manifests) {
      if ((await target.head(entry.digest, signal)) !== undefined) continue;
      const child = await source.manifest(entry.digest, signal);
      await copyDocument(source, target, child, { signal }, depth + 1);
    }
  } else {
    await copyBlobs(source, target, [parsed.config, ...parsed.layers], signal);
  }
  const scopes = writeScopes(target);
  const { bytes } = document;
  return await pushDocument(
    { repository: target, scopes, signal },
    { reference: tag ?? document.digest, bytes, mediaType: parsed.mediaType },
  );
}

export function writeScopes({ path }: Repository): string[] {
  return [`repository:${path}:pull,push`];
}

async function copyBlobs(
  source: Repository,
  target: Repository,
  blobs: readonly Descriptor[],
  signal: AbortSignal,
): Promise<void> {
  const waiting = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
  const worker = async () => {
    for (let blob = waiting.shift(); blob !== undefined; blob = waiting.shift()) {
      await copyBlob(source, target, blob, signal);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function copyBlob(source: Repository, target: Repository, blob: Descriptor, signal: AbortSignal): Promise<void> {
  const { digest, size, urls } = blob;
  const scopes = writeScopes(target);
  if (await target.hasBlob(digest, scopes, signal)) return;
  // What lies elsewhere is not the registry's to have.
  if (urls !== undefined && urls.length > 0) return;
  const sameRegistry = source.host.base.origin === target.host.base.origin;
  if (sameRegistry && (await mountBlob(target, digest, source.path, { scopes, signal }))) return;
  const content: UploadSource = {
    open: (offset) => remoteBytes(source, { digest, size }, offset, signal),
    digest: async () => digest,
  };
  await uploadBlob(target, content, { scopes, signal, onBytes: () => {}, onRetry: () => {} });
}

async function* remoteBytes(
  source: Repository,
  { digest, size }: { readonly digest: Digest; readonly size: number },
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (offset >= size) return;
  const opened = await source.openBlob(digest, { offset, size }, signal);
  let skip = offset - opened.offset;
  for await (const chunk of bodyOf(opened.incoming, source.host.limits(signal))) {
    if (skip < chunk.length) yield skip > 0 ? chunk.subarray(skip) : chunk;
    skip = Math.max(0, skip - chunk.length);
  }
}

/** The tag under which a reference is to be written, or undefined for its digest alone. */
export function targetTag({ tag, digest }: Reference): string | undefined {
  return digest !== undefined && isDigest(digest) ? undefined : (tag ?? "latest");
}
