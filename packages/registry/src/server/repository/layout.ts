import { type Digest, parseDigest } from "@slipway/oci";

/**
 * Every key of a registry's records. A repository's slashes become `!`, which no name has, and a digest's colon becomes
 * `-`: so each key is one plain path, also where a bucket is kept as folders.
 *
 * | Key | Value |
 * |---|---|
 * | `known/R` | Empty: something was once stored in repository R. |
 * | `catalog/R` | Empty: R has manifests. |
 * | `contents/D` | `Content`: where the bytes of a blob lie. |
 * | `holders/D/R/stamp` | Empty: R holds the blob D. |
 * | `repos/R/blobs/D` | `Content`: the blob can be read through R. |
 * | `repos/R/manifests/D` | A manifest: a line of facts, then its bytes. |
 * | `repos/R/tags/T` | `Tag`. |
 * | `repos/R/tagged/D/T/stamp` | Empty: T was pointed to D, or with `@` for T, D was pushed without a tag; `tags` has the truth. |
 * | `repos/R/uses/D/M/stamp` | Empty: manifest M refers to D. Counting these is counting references. |
 * | `repos/R/referrers/S/M` | Descriptor of M, whose subject is S. |
 *
 * Holders, uses and what is tagged are claims (`storage/records.ts`). Each push writes its own, told apart by a stamp, so that a collection
 * which removes an old claim, or a push that takes its claim back, never hits the claim of somebody else.
 */
export const layout = {
  known: (name: string) => `known/${flat(name)}`,
  catalog: (name: string) => `catalog/${flat(name)}`,
  content: (digest: Digest) => `contents/${plain(digest)}`,
  holders: (digest: Digest) => `holders/${plain(digest)}/`,
  holder: (digest: Digest, name: string) => `holders/${plain(digest)}/${flat(name)}/${stamp()}`,
  blobs: (name: string) => `repos/${flat(name)}/blobs/`,
  blob: (name: string, digest: Digest) => `repos/${flat(name)}/blobs/${plain(digest)}`,
  manifests: (name: string) => `repos/${flat(name)}/manifests/`,
  manifest: (name: string, digest: Digest) => `repos/${flat(name)}/manifests/${plain(digest)}`,
  tags: (name: string) => `repos/${flat(name)}/tags/`,
  tag: (name: string, tag: string) => `repos/${flat(name)}/tags/${tag}`,
  tagged: (name: string, digest: Digest) => `repos/${flat(name)}/tagged/${plain(digest)}/`,
  taggedAs: (name: string, digest: Digest, tag: string) => `repos/${flat(name)}/tagged/${plain(digest)}/${tag}`,
  allUses: (name: string) => `repos/${flat(name)}/uses/`,
  uses: (name: string, digest: Digest) => `repos/${flat(name)}/uses/${plain(digest)}/`,
  use: (name: string, digest: Digest, manifest: Digest) =>
    `repos/${flat(name)}/uses/${plain(digest)}/${plain(manifest)}/${stamp()}`,
  allReferrers: (name: string) => `repos/${flat(name)}/referrers/`,
  referrers: (name: string, subject: Digest) => `repos/${flat(name)}/referrers/${plain(subject)}/`,
  referrer: (name: string, subject: Digest, manifest: Digest) =>
    `repos/${flat(name)}/referrers/${plain(subject)}/${plain(manifest)}`,
} as const;

export const KNOWN = "known/";
export const CATALOG = "catalog/";
export const CONTENTS = "contents/";
export const HOLDERS = "holders/";

/** Now, and something that nobody else has. */
function stamp(): string {
  return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
}

/** When the claim of a key was made, in milliseconds since 1970. */
export function claimTime(key: string): number {
  return Number.parseInt(key.slice(key.lastIndexOf("/") + 1), 36);
}

function flat(name: string): string {
  return name.replaceAll("/", "!");
}

function plain(digest: Digest): string {
  return digest.replace(":", "-");
}

/** The repository that a flat name in a key stands for. */
export function nameIn(part: string): string {
  return part.replaceAll("!", "/");
}

/** The digest that a part of a key stands for. */
export function digestIn(part: string): Digest {
  return parseDigest(part.replace("-", ":"));
}

/** The part of a key that follows `prefix`, up to the next slash. */
export function partAfter(key: string, prefix: string): string {
  const end = key.indexOf("/", prefix.length);
  return end < 0 ? key.slice(prefix.length) : key.slice(prefix.length, end);
}
