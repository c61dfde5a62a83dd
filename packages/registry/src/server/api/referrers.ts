import { type Digest, digestAlgorithm, digestHex, type Index, MEDIA_TYPES } from "@slipway/oci";
import { layout, partAfter } from "../repository/layout.ts";
import { findManifest, findTag, parseStored } from "../repository/manifests.ts";
import { linkTo, listPage, pageOf } from "./lists.ts";
import type { Call, RegistryParts } from "./parts.ts";

/** GET of the manifests whose subject is `digest`, as an index (distribution specification 1.1, end-12). */
export async function listReferrers(parts: RegistryParts, call: Call, name: string, digest: Digest): Promise<Response> {
  const { records } = parts.storage;
  const prefix = layout.referrers(name, digest);
  const page = pageOf(call.query);
  const { keys, more } = await listPage(records, prefix, {
    n: page.n,
    ...(page.last !== undefined && { last: prefix + page.last }),
  });
  const values = await Promise.all(keys.map((key) => records.get(key)));
  const found = values.filter((value) => value !== undefined).map((value) => JSON.parse(Buffer.from(value).toString()));
  const descriptors = [...found, ...(page.last === undefined ? await fromFallbackTag(parts, name, digest, found) : [])];
  const wanted = call.query.get("artifactType");
  const manifests = wanted === null ? descriptors : descriptors.filter(({ artifactType }) => artifactType === wanted);
  const filter = wanted === null ? "" : `&artifactType=${encodeURIComponent(wanted)}`;
  const last = more ? partAfter(keys.at(-1) ?? "", prefix) : undefined;
  const headers = {
    ...linkTo(`/v2/${name}/referrers/${digest}`, page.n, last, filter),
    ...(wanted !== null && { "OCI-Filters-Applied": "artifactType" }),
    "Content-Type": MEDIA_TYPES.ociIndex,
  };
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests };
  return new Response(JSON.stringify(index), { headers });
}

interface ReferrerDescriptor {
  readonly digest: string;
  readonly artifactType?: string | undefined;
}

/**
 * Referrers that a client keeps in an index under the subject's fallback tag ("Referrers Tag Schema"): they were pushed
 * elsewhere without a referrers API and copied here.
 */
async function fromFallbackTag(
  parts: RegistryParts,
  name: string,
  digest: Digest,
  known: readonly ReferrerDescriptor[],
): Promise<readonly ReferrerDescriptor[]> {
  const tag = `${digestAlgorithm(digest)}-${digestHex(digest)}`.slice(0, 128);
  const target = await findTag(parts.storage, name, tag);
  const manifest = target === undefined ? undefined : await findManifest(parts.storage, name, target.digest);
  if (manifest?.mediaType !== MEDIA_TYPES.ociIndex) return [];
  const listed = new Set(known.map((descriptor) => descriptor.digest));
  return (parseStored(manifest) as Index).manifests.filter((descriptor) => !listed.has(descriptor.digest));
}
