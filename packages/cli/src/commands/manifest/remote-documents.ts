import { type Descriptor, parseManifest, type Reference } from "@slipway/oci";
import { keyOfRegistry } from "../../credentials/registry-credentials.ts";
import type { Session } from "../../session.ts";
import { loginHeader } from "../registry/registry-access.ts";

/** A manifest or index of a registry, as it is. */
export interface FetchedDocument {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: string;
}

/** A descriptor as documents write it. */
export interface WireDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Documents in registries, through the engine. */
export class RemoteDocuments {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async get(name: string): Promise<FetchedDocument> {
    const client = await this.#session.client();
    const headers = await this.#login(name);
    const response = await client.request("GET", `/slipway/distribution/${name}/document`, { headers });
    const mediaType = response.headers.get("content-type") ?? "";
    return { bytes: await response.bytes(), mediaType, digest: response.headers.get("docker-content-digest") ?? "" };
  }

  /** The descriptor of an image, with the platform that its configuration names. */
  async describe(name: string): Promise<{ readonly document: FetchedDocument; readonly descriptor: WireDescriptor }> {
    const document = await this.get(name);
    const parsed = parseManifest(document.bytes, document.mediaType);
    const base = { mediaType: parsed.mediaType, digest: document.digest, size: document.bytes.length };
    if (parsed.kind === "index") return { document, descriptor: base };
    const client = await this.#session.client();
    const config = await client.json<Record<string, unknown>>("GET", `/slipway/distribution/${name}/config`, {
      headers: await this.#login(name),
    });
    const { os, architecture, variant, "os.version": version } = config;
    const platform = {
      architecture,
      os,
      ...(variant ? { variant } : {}),
      ...(version ? { "os.version": version } : {}),
    };
    return { document, descriptor: { ...base, platform } };
  }

  async put(name: string, bytes: Uint8Array, mediaType: string): Promise<string> {
    const client = await this.#session.client();
    const headers = { ...(await this.#login(name)), "Content-Type": mediaType };
    const { digest } = await client.json<{ digest: string }>("PUT", `/slipway/distribution/${name}/document`, {
      headers,
      body: bytes,
    });
    return digest;
  }

  async copy(source: string, target: string): Promise<string> {
    const client = await this.#session.client();
    const from = (await this.#login(source))["X-Registry-Auth"];
    const headers = { ...(await this.#login(target)), ...(from !== undefined && { "X-Registry-Auth-Source": from }) };
    const query = { source, target };
    const { digest } = await client.json<{ digest: string }>("POST", "/slipway/distribution/copy", { query, headers });
    return digest;
  }

  #login(name: string): Promise<Record<string, string>> {
    return loginHeader(this.#session, keyOfRegistry(domainIn(name)));
  }
}

function domainIn(name: string): string {
  const first = name.slice(0, Math.max(0, name.indexOf("/")));
  return /[.:]/.test(first) || first === "localhost" ? first : "docker.io";
}

/** An index of these, as bytes. */
export function indexBytes(mediaType: string, manifests: readonly WireDescriptor[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, manifests }, null, 3));
}

/** `repository@digest` of a descriptor in a name's repository. */
export function byDigest({ domain, path }: Reference, { digest }: Pick<Descriptor, "digest"> | WireDescriptor): string {
  return `${domain}/${path}@${digest}`;
}
