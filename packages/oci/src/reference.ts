import { SlipwayError } from "@slipway/base";
import { type Digest, isDigest } from "./digest.ts";

/** A complete image name: nothing is implied any more (distribution/reference grammar, as Docker applies it). */
export interface Reference {
  /** Registry host with its port: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Repository path below the domain: `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const DEFAULT_DOMAIN = "docker.io";
const OFFICIAL_PREFIX = "library/";
const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::\d+)?$/;
const PATH = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[\w][\w.-]{0,127}$/;

/**
 * Reads an image name as Docker's commands take it: `busybox`, `localhost:5000/a/b:tag`, `name@sha256:...`.
 * Neither tag nor digest is added; see `withDefaultTag`. Throws `invalid`.
 */
export function parseReference(text: string): Reference {
  if (/^[0-9a-f]{64}$/.test(text)) fail(text, "it cannot be 64 hexadecimal digits, the form of an image ID");
  const [rest, digest] = cutDigest(text);
  const [name, tag] = cutTag(rest);
  if (tag !== undefined && !TAG.test(tag))
    fail(text, `'${tag}' is not a tag: at most 128 letters, digits, '_', '.' and '-'`);
  const [domain, path] = splitDomain(name);
  if (!DOMAIN.test(domain)) fail(text, `'${domain}' is not a registry host`);
  if (path !== path.toLowerCase()) fail(text, "repository name must be lowercase");
  if (!PATH.test(path)) fail(text, "a repository is made of lower-case letters, digits and single separators");
  if (path.length > 255) fail(text, "repository name must not be more than 255 characters");
  return { domain, path, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

function fail(text: string, why: string): never {
  throw new SlipwayError("invalid", `invalid reference format: '${text.slice(0, 300)}': ${why}`);
}

function cutDigest(text: string): [rest: string, digest: Digest | undefined] {
  const at = text.indexOf("@");
  if (at < 0) return [text, undefined];
  const digest = text.slice(at + 1);
  if (!isDigest(digest)) fail(text, `'${digest}' is not a digest`);
  return [text.slice(0, at), digest];
}

function cutTag(text: string): [name: string, tag: string | undefined] {
  const colon = text.lastIndexOf(":");
  // A colon before the last slash belongs to the host's port.
  return colon > text.lastIndexOf("/") ? [text.slice(0, colon), text.slice(colon + 1)] : [text, undefined];
}

function splitDomain(name: string): [domain: string, path: string] {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  // Only what looks like a host is one: a dot, a port, "localhost", or capitals.
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const [domain, path] = isHost ? [first, name.slice(slash + 1)] : [DEFAULT_DOMAIN, name];
  const canonical = domain === "index.docker.io" ? DEFAULT_DOMAIN : domain;
  return [canonical, canonical === DEFAULT_DOMAIN && !path.includes("/") ? OFFICIAL_PREFIX + path : path];
}

/** Adds `:latest` when there is neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

/** The full form: `docker.io/library/busybox:latest`. */
export function formatReference(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffix(reference)}`;
}

/** The short form that Docker shows: `busybox:latest`. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

/** The short form without tag and digest, as in the column REPOSITORY. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return `${reference.domain}/${reference.path}`;
  const { path } = reference;
  const official = path.startsWith(OFFICIAL_PREFIX) && !path.slice(OFFICIAL_PREFIX.length).includes("/");
  return official ? path.slice(OFFICIAL_PREFIX.length) : path;
}

function suffix(reference: Reference): string {
  return (
    (reference.tag === undefined ? "" : `:${reference.tag}`) +
    (reference.digest === undefined ? "" : `@${reference.digest}`)
  );
}

/** Whether `text` can only be an image ID or the beginning of one, never a name. */
export function looksLikeImageId(text: string): boolean {
  return isDigest(text) || /^sha256:[0-9a-f]+$/.test(text) || /^[0-9a-f]{64}$/.test(text);
}
