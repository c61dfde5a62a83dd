import { errorMessage, isError, type JsonReader, type Logger, SingleFlight, SlipwayError } from "@slipway/base";
import { type Digest, digestAlgorithm, digestHex, parseManifest } from "@slipway/oci";
import { readDocument } from "../../client/body.ts";
import { RegistryHost } from "../../client/host.ts";
import { MANIFEST_TYPES, Repository } from "../../client/repository.ts";
import { DEFAULT_SETTINGS, proxiesOf } from "../../client/settings.ts";
import { Transport } from "../../client/transport.ts";
import { fault } from "../api/fault.ts";
import type { ManifestReference } from "../api/route.ts";
import { newUploadId } from "../api/uploads.ts";
import { addBlob, findBlob } from "../repository/blobs.ts";
import { findManifest, findTag, putManifest } from "../repository/manifests.ts";
import type { Storage } from "../storage/contents.ts";

/** A registry whose images pass through this one and are kept. */
export interface Upstream {
  /** The name that clients give with `ns=`, and the first part of the names under which its images are kept. */
  readonly namespace: string;
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly insecure: boolean;
  /** Also for requests that name neither this registry nor another one. */
  readonly isDefault: boolean;
  /** How long a tag is believed without asking again, in milliseconds. */
  readonly ttl: number;
}

/** A repository of an upstream, as it is called here and there. */
export interface Passage {
  readonly upstream: Upstream;
  readonly local: string;
  readonly remote: string;
}

/** For the one who is answered from what may be out of date (distribution specification, "Warnings"). */
const STALE = '299 - "the upstream registry does not answer: this may be out of date"';
const QUICK_MS = 10_000;
const BLOB_MS = 3_600_000;
/** The largest list that an upstream may answer: it is held in memory. */
const MOST_LIST_BYTES = 8 * 1024 * 1024;

/** Fetches from upstream registries what is asked for and not here, and serves what is here when they fail or limit. */
export class PullThrough {
  readonly #storage: Storage;
  readonly #upstreams: readonly Upstream[];
  readonly #hosts = new Map<Upstream, RegistryHost>();
  readonly #flights = new SingleFlight<string>();
  readonly #checked = new Map<string, number>();
  readonly #log: Logger;
  readonly #blobLimit: number;

  constructor(
    storage: Storage,
    upstreams: readonly Upstream[],
    options: { readonly log: Logger; readonly blobLimit: number },
  ) {
    this.#storage = storage;
    this.#upstreams = upstreams;
    this.#log = options.log;
    this.#blobLimit = options.blobLimit;
  }

  /** The upstream repository behind a name; undefined for one of our own. Throws NAME_UNKNOWN for a foreign `ns`. */
  passage(name: string, namespace: string | null): Passage | undefined {
    if (this.#upstreams.length === 0) return undefined;
    if (namespace !== null) {
      const upstream = this.#upstreams.find((candidate) => candidate.namespace === namespace);
      if (upstream === undefined)
        throw fault("NAME_UNKNOWN", `nothing is fetched from ${namespace.slice(0, 255)} here`);
      return { upstream, local: localName(upstream, name), remote: name };
    }
    for (const upstream of this.#upstreams) {
      const prefix = `${localName(upstream, "")}`;
      if (name.startsWith(prefix)) return { upstream, local: name, remote: name.slice(prefix.length) };
    }
    const upstream = this.#upstreams.find(({ isDefault }) => isDefault);
    return upstream && { upstream, local: localName(upstream, name), remote: name };
  }

  /** Brings a manifest here if it is not, or if its tag has moved. Returns a warning when that could not be found out. */
  async manifest(passage: Passage, reference: ManifestReference): Promise<string | undefined> {
    const key = reference.kind === "tag" ? reference.tag : reference.digest;
    const flight = `${passage.local} ${key}`;
    return (await this.#flights.do(flight, (signal) => this.#bringManifest(passage, reference, signal))) || undefined;
  }

  async #bringManifest(passage: Passage, reference: ManifestReference, signal: AbortSignal): Promise<string> {
    const { local, upstream } = passage;
    const here =
      reference.kind === "tag" ? (await findTag(this.#storage, local, reference.tag))?.digest : reference.digest;
    const isHere = here !== undefined && (await findManifest(this.#storage, local, here)) !== undefined;
    const checkKey = reference.kind === "tag" ? `${local}:${reference.tag}` : "";
    if (isHere && (reference.kind === "digest" || (this.#checked.get(checkKey) ?? 0) > Date.now())) return "";
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(QUICK_MS)]);
      await this.#fetchManifest(passage, reference, { here: isHere ? here : undefined, signal: limit });
      if (this.#checked.size > 100_000) this.#checked.clear();
      if (checkKey !== "") this.#checked.set(checkKey, Date.now() + upstream.ttl);
      return "";
    } catch (error) {
      if (isError(error, "not-found")) throw fault("MANIFEST_UNKNOWN", "manifest unknown upstream", { cause: error });
      this.#log.warn("the upstream registry failed", { upstream: upstream.url, error: errorMessage(error) });
      if (isHere) return STALE;
      throw upstreamFault(upstream, error);
    }
  }

  async #fetchManifest(
    { upstream, local, remote }: Passage,
    reference: ManifestReference,
    { here, signal }: { readonly here: Digest | undefined; readonly signal: AbortSignal },
  ): Promise<void> {
    const repository = new Repository(this.#host(upstream), remote);
    let wanted: string = reference.kind === "tag" ? reference.tag : reference.digest;
    if (reference.kind === "tag" && here !== undefined) {
      const found = await repository.head(wanted, signal);
      if (found === undefined) throw new SlipwayError("not-found", "manifest unknown");
      if (found.digest === here) return;
      wanted = found.digest;
    }
    const { bytes, mediaType, digest } = await repository.manifest(wanted, signal);
    const document = parseManifest(bytes, mediaType);
    const tags = reference.kind === "tag" ? [reference.tag] : [];
    // What it refers to comes when somebody asks for it.
    await putManifest(this.#storage, local, { digest, bytes, document, tags, isSparse: true });
  }

  /** Brings a blob here if it is not. */
  async blob(passage: Passage, digest: Digest): Promise<void> {
    const { local, upstream } = passage;
    if ((await findBlob(this.#storage, local, digest)) !== undefined) return;
    await this.#flights.do(`${local} ${digest}`, async (signal) => {
      try {
        await this.#bringBlob(passage, digest, AbortSignal.any([signal, AbortSignal.timeout(BLOB_MS)]));
      } catch (error) {
        if (isError(error, "not-found")) throw fault("BLOB_UNKNOWN", "blob unknown upstream", { cause: error });
        throw upstreamFault(upstream, error);
      }
      return "";
    });
  }

  async #bringBlob({ upstream, local, remote }: Passage, digest: Digest, signal: AbortSignal): Promise<void> {
    const { contents } = this.#storage;
    const algorithm = digestAlgorithm(digest);
    const incoming = await this.#host(upstream).send({
      method: "GET",
      path: `/v2/${remote}/blobs/${digest}`,
      scopes: [`repository:${remote}:pull`],
      signal,
    });
    const id = newUploadId(local, algorithm);
    try {
      await contents.begin(id);
      await contents.append(id, incoming.response.body, { algorithm, limit: this.#blobLimit });
      const measured = await contents.measure(id, algorithm);
      if (measured.hash !== digestHex(digest)) {
        throw new SlipwayError("corrupt", `${upstream.url} sent other bytes than ${digest}`);
      }
      await addBlob(this.#storage, local, digest, await contents.finish(measured, digest.replace(":", "-")));
    } catch (error) {
      await contents.cancel(id);
      throw error;
    } finally {
      incoming.end();
    }
  }

  /** Asks the upstream for a list as it is; undefined when it does not answer. */
  async list({ upstream, remote }: Passage, path: string, signal: AbortSignal): Promise<Response | undefined> {
    try {
      const host = this.#host(upstream);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(QUICK_MS)]);
      const incoming = await host.send({
        method: "GET",
        path: `/v2/${remote}/${path}`,
        scopes: [`repository:${remote}:pull`],
        signal: limit,
        headers: { Accept: MANIFEST_TYPES },
      });
      const body = await readDocument(incoming, MOST_LIST_BYTES, host.limits(limit));
      const headers = new Headers({
        "Content-Type": incoming.response.headers.get("content-type") ?? "application/json",
      });
      const filters = incoming.response.headers.get("oci-filters-applied");
      if (filters !== null) headers.set("OCI-Filters-Applied", filters);
      return new Response(body as Uint8Array<ArrayBuffer>, { headers });
    } catch (error) {
      if (isError(error, "not-found")) return undefined;
      this.#log.warn("the upstream registry failed", { upstream: upstream.url, error: errorMessage(error) });
      return undefined;
    }
  }

  #host(upstream: Upstream): RegistryHost {
    const known = this.#hosts.get(upstream);
    if (known !== undefined) return known;
    const proxies = proxiesOf(process.env);
    // A client waits: what fails is answered from here, not tried for minutes.
    const settings = { ...DEFAULT_SETTINGS, proxies, maxAttempts: 2, longestWait: 1000, answerTimeout: QUICK_MS };
    const { username = "", password = "", insecure } = upstream;
    const options = { base: new URL(upstream.url), insecure, credentials: { username, password }, settings };
    const host = new RegistryHost({ ...options, transport: new Transport(settings) });
    this.#hosts.set(upstream, host);
    return host;
  }
}

function localName(upstream: Upstream, name: string): string {
  return `${upstream.namespace.replaceAll(":", "-")}/${name}`;
}

function upstreamFault(upstream: Upstream, error: unknown): SlipwayError {
  const host = new URL(upstream.url).host;
  const isLimit = isError(error) && (error.details.status === 429 || error.details.retryAfter !== undefined);
  if (isLimit)
    return fault("TOOMANYREQUESTS", `${host} limits requests`, { cause: error, headers: { "Retry-After": "30" } });
  return fault("UNAVAILABLE", `${host} does not answer as it should: ${errorMessage(error)}`, { cause: error });
}

/** Reads an upstream of the configuration file. Throws `invalid`. */
export function readUpstream(reader: JsonReader, age: (text: string) => number): Upstream {
  const url = reader.field("url").string();
  if (!URL.canParse(url)) throw new SlipwayError("invalid", `upstreams: '${url}' is not an address`);
  const username = reader.field("username").optionalString();
  const password = reader.field("password").optionalString();
  return {
    namespace: reader.field("namespace").optionalString() ?? new URL(url).host,
    url,
    insecure: reader.field("insecure").optionalBoolean() ?? false,
    isDefault: reader.field("default").optionalBoolean() ?? false,
    ttl: age(reader.field("ttl").optionalString() ?? "60s"),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}
