import { errorMessage, isError, JsonReader, SlipwayError } from "@slipway/base";
import {
  type Digest,
  digestAlgorithm,
  digestOf as hashOf,
  type Index,
  type Manifest,
  parseManifest,
} from "@slipway/oci";
import {
  findManifest,
  findTag,
  putManifest,
  removeManifest,
  removeTag,
  type StoredManifest,
} from "../repository/manifests.ts";
import { fault } from "./fault.ts";
import type { Call, RegistryParts } from "./parts.ts";
import { type ManifestReference, tagOf } from "./route.ts";

/** Tags that one push by digest may set (development version of the specification: at least 10). */
const MAX_TAGS = 100;

/** GET and HEAD of a manifest (distribution specification 1.1, end-3). Bytes and type are those that were pushed. */
export async function readManifest(
  parts: RegistryParts,
  call: Call,
  name: string,
  reference: ManifestReference,
): Promise<Response> {
  const digest = await resolve(parts, name, reference);
  const manifest = digest === undefined ? undefined : await findManifest(parts.storage, name, digest);
  if (digest === undefined || manifest === undefined) throw unknownManifest(reference);
  if (call.request.method === "GET") {
    const tag = reference.kind === "tag" ? { tag: reference.tag } : {};
    const { mediaType, bytes } = manifest;
    call.announce({ action: "pull", name, digest, mediaType, size: bytes.length, ...tag });
  }
  return manifestResponse(call.request, digest, manifest);
}

export function manifestResponse(request: Request, digest: Digest, manifest: StoredManifest): Response {
  const etag = `"${digest}"`;
  const headers = {
    "Content-Type": manifest.mediaType,
    "Docker-Content-Digest": digest,
    "Content-Length": String(manifest.bytes.length),
    ETag: etag,
  };
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  // The bytes are a view of a record that nobody else has.
  const body = request.method === "HEAD" ? null : (manifest.bytes as Uint8Array<ArrayBuffer>);
  return new Response(body, { headers });
}

export async function resolve(
  parts: RegistryParts,
  name: string,
  reference: ManifestReference,
): Promise<Digest | undefined> {
  if (reference.kind === "digest") return reference.digest;
  return (await findTag(parts.storage, name, reference.tag))?.digest;
}

export function unknownManifest(reference: ManifestReference) {
  const detail = reference.kind === "tag" ? { Tag: reference.tag } : { Digest: reference.digest };
  return fault("MANIFEST_UNKNOWN", "manifest unknown", { detail });
}

/** PUT of a manifest by tag, by digest, or by digest with tags as parameters (end-7a, end-7b). */
export async function writeManifest(
  parts: RegistryParts,
  call: Call,
  name: string,
  reference: ManifestReference,
): Promise<Response> {
  const bytes = await readBody(call.request, parts.limits.manifest);
  const wanted = reference.kind === "digest" ? reference.digest : undefined;
  const digest = hashOf(bytes, wanted === undefined ? "sha256" : digestAlgorithm(wanted));
  if (wanted !== undefined && wanted !== digest) {
    throw fault("DIGEST_INVALID", "the manifest that arrived has another digest", { detail: { digest } });
  }
  const document = documentOf(bytes, call.request.headers.get("content-type"));
  const tags = reference.kind === "tag" ? [reference.tag] : tagParameters(call.query);
  await parts.admit(name, digest, 0);
  const missing = await putManifest(parts.storage, name, { digest, bytes, document, tags });
  if (missing.length > 0) {
    throw fault("MANIFEST_BLOB_UNKNOWN", `the manifest refers to what ${name} does not hold`, {
      detail: missing.slice(0, 100).map((needed) => ({ digest: needed })),
    });
  }
  const event = { action: "push", name, digest, mediaType: document.mediaType, size: bytes.length } as const;
  if (tags.length === 0) call.announce(event);
  for (const tag of tags) call.announce({ ...event, tag });
  const headers = new Headers({ Location: `/v2/${name}/manifests/${digest}`, "Docker-Content-Digest": digest });
  if (document.subject !== undefined) headers.set("OCI-Subject", document.subject.digest);
  if (reference.kind === "digest") for (const tag of tags) headers.append("OCI-Tag", tag);
  return new Response(null, { status: 201, headers });
}

function tagParameters(query: URLSearchParams): string[] {
  const tags = [...new Set(query.getAll("tag"))].map(tagOf);
  if (tags.length <= MAX_TAGS) return tags;
  throw fault("TAG_INVALID", `a manifest can be pushed with at most ${MAX_TAGS} tags at once`);
}

/** All bytes of a body, as long as they stay below the limit: what lies about its length is cut off too. */
async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  const tooLarge = () => fault("TOO_LARGE", `the manifest is larger than the limit of ${limit} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function documentOf(bytes: Uint8Array, contentType: string | null): Manifest | Index {
  const announced = contentType?.split(";")[0]?.trim() || undefined;
  let document: Manifest | Index;
  try {
    document = parseManifest(bytes, announced);
    refuseAmbiguous(bytes, document);
  } catch (error) {
    if (isError(error)) throw fault("MANIFEST_INVALID", errorMessage(error));
    throw error;
  }
  if (announced === undefined || announced === document.mediaType) return document;
  throw fault("MANIFEST_INVALID", `the manifest says that it is ${document.mediaType}, its Content-Type ${announced}`);
}

/**
 * A document that is a manifest and an index at once would be read as one by some clients and as the other by others
 * (image specification 1.1, "Manifest Ambiguity"; CVE-2021-41190). Throws `invalid`.
 */
function refuseAmbiguous(bytes: Uint8Array, { kind }: Manifest | Index): void {
  const reader = JsonReader.parse(bytes, "manifest");
  const foreign = kind === "index" ? ["config", "layers"] : ["manifests"];
  const found = foreign.find((field) => reader.field(field).optional() !== undefined);
  if (found !== undefined) throw new SlipwayError("invalid", `a document of this media type has no '${found}'`);
}

/** DELETE of a manifest with its tags, or of a tag alone (end-9). */
export async function deleteManifest(
  parts: RegistryParts,
  call: Call,
  name: string,
  reference: ManifestReference,
): Promise<Response> {
  const { storage } = parts;
  const isTag = reference.kind === "tag";
  const found = isTag
    ? await removeTag(storage, name, reference.tag)
    : await removeManifest(storage, name, reference.digest);
  if (!found) throw unknownManifest(reference);
  call.announce({ action: "delete", name, ...(isTag ? { tag: reference.tag } : { digest: reference.digest }) });
  return new Response(null, { status: 202 });
}
