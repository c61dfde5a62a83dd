import { SlipwayError } from "@slipway/base";
import {
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type Index,
  type Platform,
  platformMatches,
} from "@slipway/oci";

/** The manifest in an index that serves a platform; one without a platform serves when there is no better. Throws `not-found`. */
export function selectPlatform(index: Index, wanted: Platform | undefined, name: string): Descriptor {
  const platform = wanted ?? hostPlatform();
  const offered = index.manifests.filter((entry) => !isAttestation(entry));
  const found =
    offered.find((entry) => entry.platform !== undefined && platformMatches(platform, entry.platform)) ??
    olderVariant(offered, platform) ??
    (wanted === undefined && offered.length === 1 && offered[0]?.platform === undefined ? offered[0] : undefined);
  if (found !== undefined) return found;
  const all = offered.flatMap((entry) => (entry.platform === undefined ? [] : [formatPlatform(entry.platform)]));
  throw new SlipwayError(
    "not-found",
    `no matching manifest for ${formatPlatform(platform)} in the manifest list entries of ${name}`,
    { hint: all.length === 0 ? "It names no platform at all." : `It has ${all.join(", ")}.` },
  );
}

/** BuildKit lists what it attests about an image beside the image, for a platform that nothing runs on. */
export function isAttestation({ platform, annotations }: Descriptor): boolean {
  return (
    annotations?.["vnd.docker.reference.type"] === "attestation-manifest" ||
    (platform?.os === "unknown" && platform.architecture === "unknown")
  );
}

/** What was made for an older variant of an architecture runs on a newer one: arm/v6 on arm/v7, amd64 on amd64/v3. */
function olderVariant(offered: readonly Descriptor[], { os, architecture, variant }: Platform): Descriptor | undefined {
  if (variant === undefined) return undefined;
  const number = (text: string | undefined) => Number(/^v(\d+)$/.exec(text ?? "v1")?.[1] ?? Number.NaN);
  const most = number(variant);
  return offered
    .filter(
      ({ platform }) =>
        platform?.os === os && platform.architecture === architecture && number(platform.variant) <= most,
    )
    .sort((a, b) => number(b.platform?.variant) - number(a.platform?.variant))[0];
}
