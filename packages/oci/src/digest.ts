import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";

declare const digestBrand: unique symbol;
declare const diffBrand: unique symbol;
declare const chainBrand: unique symbol;
declare const imageBrand: unique symbol;

/** `algorithm:hex` of any content (OCI image specification, descriptor.md, "Digests"). */
export type Digest = string & { readonly [digestBrand]: true };
/** The digest of a layer's uncompressed tar. */
export type DiffId = Digest & { readonly [diffBrand]: true };
/** The digest that names a stack of layers (OCI image specification, config.md, "Layer ChainID"). */
export type ChainId = Digest & { readonly [chainBrand]: true };
/** The digest of an image's config. */
export type ImageId = Digest & { readonly [imageBrand]: true };

export type DigestAlgorithm = "sha256" | "sha512";

const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };

export function isDigest(text: string): text is Digest {
  const match = /^(sha256|sha512):([0-9a-f]+)$/.exec(text);
  return match !== null && match[2]?.length === HEX_LENGTH[match[1] as DigestAlgorithm];
}

/** Throws `invalid` unless `text` is a digest of sha256 or sha512. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new SlipwayError("invalid", `invalid digest '${text.slice(0, 200)}'`, {
    hint: "A digest is sha256: and 64, or sha512: and 128 lower-case hexadecimal digits.",
  });
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(":")) as DigestAlgorithm;
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** The digest of bytes that are in memory. */
export function digestOf(content: string | Uint8Array, algorithm: DigestAlgorithm = "sha256"): Digest {
  return `${algorithm}:${createHash(algorithm).update(content).digest("hex")}` as Digest;
}

/** The chain ID of a layer on top of `parent`. */
export function chainIdOf(parent: ChainId | undefined, diffId: DiffId): ChainId {
  return parent === undefined ? (diffId as Digest as ChainId) : (digestOf(`${parent} ${diffId}`) as ChainId);
}

/** The chain IDs of all prefixes of a layer list, bottom first. */
export function chainIdsOf(diffIds: readonly DiffId[]): ChainId[] {
  let parent: ChainId | undefined;
  return diffIds.map((diffId) => (parent = chainIdOf(parent, diffId)));
}
