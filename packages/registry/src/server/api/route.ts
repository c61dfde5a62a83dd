import { type Digest, isDigest } from "@slipway/oci";
import { fault } from "./fault.ts";

/** What a path of the registry's API asks for (distribution specification 1.1, "Endpoints"). */
export type Route =
  | { readonly kind: "base" }
  | { readonly kind: "catalog" }
  | { readonly kind: "tags"; readonly name: string }
  | { readonly kind: "manifest"; readonly name: string; readonly reference: ManifestReference }
  | { readonly kind: "blob"; readonly name: string; readonly digest: Digest }
  | { readonly kind: "uploads"; readonly name: string }
  | { readonly kind: "upload"; readonly name: string; readonly id: string }
  | { readonly kind: "referrers"; readonly name: string; readonly digest: Digest };

export type ManifestReference =
  | { readonly kind: "tag"; readonly tag: string }
  | { readonly kind: "digest"; readonly digest: Digest };

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const UPLOAD_ID = /^[0-9a-f-]{36,64}$/;
const MAX_NAME = 255;

/** Reads a path, which begins with `/v2`. Undefined for one that is none of the API's. Throws faults for bad parts. */
export function parseRoute(path: string): Route | undefined {
  if (path === "/v2/" || path === "/v2") return { kind: "base" };
  if (!path.startsWith("/v2/")) return undefined;
  if (path === "/v2/_catalog") return { kind: "catalog" };
  if (path.endsWith("/tags/list")) return { kind: "tags", name: nameOf(path.slice(4, -10)) };
  const last = path.lastIndexOf("/");
  const kindAt = path.lastIndexOf("/", last - 1);
  const kind = path.slice(kindAt + 1, last);
  const rest = path.slice(last + 1);
  if (kindAt < 4) return undefined;
  if (kind === "manifests")
    return { kind: "manifest", name: nameOf(path.slice(4, kindAt)), reference: referenceOf(rest) };
  if (kind === "blobs" && rest !== "uploads")
    return { kind: "blob", name: nameOf(path.slice(4, kindAt)), digest: digestOf(rest) };
  if (kind === "referrers") return { kind: "referrers", name: nameOf(path.slice(4, kindAt)), digest: digestOf(rest) };
  if (kind === "blobs") return { kind: "uploads", name: nameOf(path.slice(4, kindAt)) };
  if (kind === "uploads" && path.slice(0, kindAt).endsWith("/blobs")) {
    const name = nameOf(path.slice(4, kindAt - 6));
    return rest === "" ? { kind: "uploads", name } : { kind: "upload", name, id: uploadIdOf(rest) };
  }
  return undefined;
}

/** Checks a repository's name. */
export function nameOf(text: string): string {
  if (text.length <= MAX_NAME && text.split("/").every((component) => COMPONENT.test(component))) return text;
  throw fault("NAME_INVALID", "invalid repository name", { detail: text.slice(0, MAX_NAME) });
}

/** Checks a digest of a path or parameter. */
export function digestOf(text: string): Digest {
  const decoded = text.includes("%") ? decode(text) : text;
  if (isDigest(decoded)) return decoded;
  throw fault("DIGEST_INVALID", "invalid digest: sha256: with 64 or sha512: with 128 hexadecimal digits", {
    detail: decoded.slice(0, 200),
  });
}

/** Checks a tag. */
export function tagOf(text: string): string {
  if (TAG.test(text)) return text;
  throw fault("TAG_INVALID", "invalid tag: at most 128 letters, digits, '_', '.' and '-'", {
    detail: text.slice(0, 200),
  });
}

function referenceOf(text: string): ManifestReference {
  if (TAG.test(text)) return { kind: "tag", tag: text };
  return text.includes(":") || text.includes("%")
    ? { kind: "digest", digest: digestOf(text) }
    : { kind: "tag", tag: tagOf(text) };
}

function uploadIdOf(text: string): string {
  if (UPLOAD_ID.test(text)) return text;
  throw fault("BLOB_UPLOAD_UNKNOWN", "there is no such upload");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
