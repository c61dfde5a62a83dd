import { SlipwayError } from "@slipway/base";
import {
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestOf,
  isDigest,
  MAX_MANIFEST_SIZE,
  MEDIA_TYPES,
} from "@slipway/oci";
import { readDocument } from "./body.ts";
import type { RegistryHost } from "./host.ts";
import { persistently } from "./retry.ts";
import type { Incoming } from "./transport.ts";

export const MANIFEST_TYPES = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.dockerIndex,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerManifest,
  // Asked for last, to be able to say what is wrong with it.
  "application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1",
  "*/*;q=0.05",
].join(", ");

/** A manifest or an index as a registry gave it. */
export interface RemoteDocument {
  readonly bytes: Uint8Array;
  /** As announced; the document's own word wins over it. */
  readonly mediaType: string;
  readonly digest: Digest;
}

/** One repository of a registry: what it holds. */
export class Repository {
  readonly host: RegistryHost;
  readonly path: string;

  constructor(host: RegistryHost, path: string) {
    this.host = host;
    this.path = path;
  }

  get pullScopes(): string[] {
    return [`repository:${this.path}:pull`];
  }

  /** Verified against `digest` where the reference is one, else against what the registry says. Throws `not-found`, `corrupt`. */
  async manifest(reference: string, signal: AbortSignal): Promise<RemoteDocument> {
    const { maxAttempts, longestWait } = this.host.settings;
    return await persistently(
      async () => {
        const incoming = await this.host.send(this.#manifestRequest("GET", reference, signal));
        const { headers } = incoming.response;
        const mediaType = mediaTypeOf(headers);
        const announced = headers.get("docker-content-digest");
        const bytes = await readDocument(incoming, MAX_MANIFEST_SIZE, this.host.limits(signal));
        return { bytes, mediaType, digest: verifiedDigest(bytes, reference, announced) };
      },
      { most: maxAttempts, longestWait, signal },
    );
  }

  /** Whether a manifest is there, and which. */
  async head(reference: string, signal: AbortSignal): Promise<Descriptor | undefined> {
    const incoming = await this.host.persistently({
      ...this.#manifestRequest("HEAD", reference, signal),
      accept: [404],
    });
    const { status, headers } = incoming.response;
    incoming.end();
    const digest = headers.get("docker-content-digest") ?? (isDigest(reference) ? reference : "");
    const size = Number(headers.get("content-length"));
    if (status === 404 || !isDigest(digest)) return undefined;
    return { mediaType: mediaTypeOf(headers), digest, size: Number.isSafeInteger(size) ? size : 0 };
  }

  /** A blob from `offset` on, or from its beginning if the registry knows no ranges: see the answer's `offset`. */
  async openBlob(
    digest: Digest,
    range: { readonly offset: number; readonly end?: number; readonly size: number },
    signal: AbortSignal,
  ): Promise<{ readonly incoming: Incoming; readonly offset: number }> {
    const { offset, end, size } = range;
    const partial = offset > 0 || end !== undefined;
    const incoming = await this.host.send({
      method: "GET",
      path: `/v2/${this.path}/blobs/${digest}`,
      scopes: this.pullScopes,
      signal,
      headers: {
        "Accept-Encoding": "identity",
        ...(partial && { Range: `bytes=${offset}-${end === undefined ? "" : end - 1}` }),
      },
    });
    const { status, headers } = incoming.response;
    try {
      if (status === 206) {
        const begin = /^bytes (\d+)-\d+\/(?:\d+|\*)$/.exec(headers.get("content-range") ?? "")?.[1];
        if (Number(begin) !== offset)
          throw lied(digest, `the range ${headers.get("content-range")} instead of one from ${offset}`);
        return { incoming, offset };
      }
      const length = headers.get("content-length");
      if (length !== null && Number(length) !== size) throw lied(digest, `${length} bytes, its manifest says ${size}`);
      return { incoming, offset: 0 };
    } catch (error) {
      incoming.end();
      throw error;
    }
  }

  /** A small blob whole, verified: an image's config. */
  async blob(descriptor: Descriptor, limit: number, signal: AbortSignal): Promise<Uint8Array> {
    const { digest, size } = descriptor;
    if (size > limit)
      throw new SlipwayError("exhausted", `${digest} has ${size} bytes; more than ${limit} are not read`);
    const { maxAttempts, longestWait } = this.host.settings;
    return await persistently(
      async () => {
        const { incoming } = await this.openBlob(digest, { offset: 0, size }, signal);
        const bytes = await readDocument(incoming, size, this.host.limits(signal));
        const actual = digestOf(bytes, digestAlgorithm(digest));
        if (bytes.length === size && actual === digest) return bytes;
        if (bytes.length < size)
          throw new SlipwayError("unavailable", `${digest}: ${bytes.length} of ${size} bytes arrived`);
        throw lied(digest, `content with the digest ${actual}`);
      },
      { most: maxAttempts, longestWait, signal },
    );
  }

  async hasBlob(digest: Digest, scopes: readonly string[], signal: AbortSignal): Promise<boolean> {
    const path = `/v2/${this.path}/blobs/${digest}`;
    const incoming = await this.host.persistently({ method: "HEAD", path, scopes, signal, accept: [404] });
    incoming.end();
    return incoming.response.ok;
  }

  #manifestRequest(method: "GET" | "HEAD", reference: string, signal: AbortSignal) {
    const path = `/v2/${this.path}/manifests/${reference}`;
    return { method, path, scopes: this.pullScopes, signal, headers: { Accept: MANIFEST_TYPES } };
  }
}

function mediaTypeOf(headers: Headers): string {
  return (headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
}

function verifiedDigest(bytes: Uint8Array, reference: string, announced: string | null): Digest {
  const expected = isDigest(reference) ? reference : announced !== null && isDigest(announced) ? announced : undefined;
  if (expected === undefined) return digestOf(bytes);
  const actual = digestOf(bytes, digestAlgorithm(expected));
  if (actual === expected) return actual;
  throw new SlipwayError("corrupt", `the manifest has the digest ${actual}, expected ${expected}`, {
    hint: "Something between here and the registry changes what it says, or the registry is damaged.",
  });
}

function lied(digest: Digest, what: string): SlipwayError {
  return new SlipwayError("corrupt", `the registry answers ${what} for ${digest}`, {
    hint: "The registry, or a proxy before it, is broken. Nothing of it was kept.",
  });
}
