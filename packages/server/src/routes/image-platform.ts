import { SlipwayError } from "@slipway/base";
import { formatPlatform, type Platform, platformMatches, readPlatform } from "@slipway/oci";
import type { Image } from "../backend.ts";
import type { Query } from "../query.ts";

/** `platform`: JSON of an OCI platform, perhaps several times. Throws `invalid`. */
export function readPlatforms(query: Query, name = "platform"): Platform[] {
  return query.jsons(name).map((reader) => readPlatform(reader));
}

/** Images here have one platform each. Throws `not-found` in Docker's words for one that has none of those asked for. */
export function requirePlatform(image: Image, nameOrId: string, wanted: readonly Platform[]): void {
  if (wanted.length === 0 || wanted.some((platform) => platformMatches(platform, image.config))) return;
  const platforms = wanted.map((platform) => formatPlatform(platform)).join(", ");
  throw new SlipwayError(
    "not-found",
    `image with reference ${nameOrId} was found but does not provide the specified platform (${platforms})`,
    { hint: `It is for ${formatPlatform(image.config)}.` },
  );
}
