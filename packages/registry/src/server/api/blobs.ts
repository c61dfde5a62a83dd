import type { Digest } from "@slipway/oci";
import { type Content, dropBlob, findBlob, holdBlob } from "../repository/blobs.ts";
import { fault } from "./fault.ts";
import type { Call, RegistryParts } from "./parts.ts";
import { parseRange } from "./range.ts";

const OCTETS = "application/octet-stream";
/** Content under a digest never changes. */
const FOREVER = "max-age=31536000, immutable";

/** GET and HEAD of a blob (distribution specification 1.1, end-2). */
export async function readBlob(parts: RegistryParts, call: Call, name: string, digest: Digest): Promise<Response> {
  const blob = await findBlob(parts.storage, name, digest);
  if (blob === undefined) throw fault("BLOB_UNKNOWN", "blob unknown to registry", { detail: { digest } });
  const isHead = call.request.method === "HEAD";
  if (isHead) await keepFresh(parts, name, digest, blob);
  const etag = `"${digest}"`;
  const headers: Record<string, string> = {
    "Content-Type": OCTETS,
    "Docker-Content-Digest": digest,
    "Accept-Ranges": "bytes",
    "Cache-Control": FOREVER,
    ETag: etag,
  };
  if (call.request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  const range = parseRange(call.request.headers.get("range"), blob.size);
  if (range === "unsatisfiable") {
    throw fault("RANGE_INVALID", "the blob does not have these bytes", {
      headers: { "Content-Range": `bytes */${blob.size}` },
    });
  }
  const { start, end } = range ?? { start: 0, end: blob.size };
  if (range !== undefined) headers["Content-Range"] = `bytes ${start}-${end - 1}/${blob.size}`;
  headers["Content-Length"] = String(end - start);
  const status = range === undefined ? 200 : 206;
  if (isHead || end === start) return new Response(null, { status, headers });
  call.announce({ action: "pull", name, digest, size: blob.size, mediaType: OCTETS });
  return new Response(parts.storage.contents.read(blob, start, end), { status, headers });
}

/**
 * A client that finds a blob here will not send it, but name it in a manifest: a blob that nothing refers to yet must not be
 * collected meanwhile. Its grace time begins anew.
 */
export async function keepFresh(parts: RegistryParts, name: string, digest: Digest, blob: Content): Promise<void> {
  if (Date.now() - blob.time < parts.limits.grace / 2) return;
  if (await holdBlob(parts.storage, name, digest, blob)) return;
  throw fault("BLOB_UNKNOWN", "blob unknown to registry", { detail: { digest } });
}

/** DELETE of a blob (end-10). */
export async function deleteBlob(parts: RegistryParts, call: Call, name: string, digest: Digest): Promise<Response> {
  const blob = await findBlob(parts.storage, name, digest);
  if (blob === undefined) throw fault("BLOB_UNKNOWN", "blob unknown to registry", { detail: { digest } });
  await dropBlob(parts.storage, name, digest);
  call.announce({ action: "delete", name, digest });
  return new Response(null, { status: 202 });
}
