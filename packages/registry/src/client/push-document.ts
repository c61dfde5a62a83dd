import { SlipwayError } from "@slipway/base";
import { type Digest, digestAlgorithm, digestOf, isDigest } from "@slipway/oci";
import type { PushTarget } from "./layer-uploads.ts";

/** Puts a manifest or an index under a tag or its digest. The registry's digest must be ours. */
export async function pushDocument(
  { repository, scopes, signal }: Pick<PushTarget, "repository" | "scopes" | "signal">,
  document: { readonly reference: string; readonly bytes: Uint8Array; readonly mediaType: string },
): Promise<Digest> {
  const { reference, bytes, mediaType } = document;
  const incoming = await repository.host.persistently({
    method: "PUT",
    path: `/v2/${repository.path}/manifests/${reference}`,
    scopes,
    signal,
    headers: { "Content-Type": mediaType },
    body: () => new Uint8Array(bytes),
  });
  const announced = incoming.response.headers.get("docker-content-digest");
  incoming.end();
  const algorithm = isDigest(reference) ? digestAlgorithm(reference) : "sha256";
  const digest = digestOf(bytes, algorithm);
  if (announced !== null && isDigest(announced) && digestOf(bytes, digestAlgorithm(announced)) !== announced) {
    throw new SlipwayError("corrupt", `the registry stored the manifest as ${announced}, and it is ${digest}`, {
      hint: "Something between here and the registry changes what is sent.",
    });
  }
  return digest;
}
