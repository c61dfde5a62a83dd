import { randomUUID } from "node:crypto";
import { isError, KeyedLock } from "@slipway/base";
import { type Digest, type DigestAlgorithm, digestAlgorithm, digestHex, digestOf as hashOf } from "@slipway/oci";
import { addBlob, findBlob, findContent, holdBlob } from "../repository/blobs.ts";
import { layout, nameIn, partAfter } from "../repository/layout.ts";
import type { AppendOptions, UploadStatus } from "../storage/contents.ts";
import { fault } from "./fault.ts";
import type { Call, RegistryParts } from "./parts.ts";
import { digestOf, nameOf } from "./route.ts";

/** How many holders of a blob are looked at for one that the client may read, when it does not say where the blob is. */
const MAX_HOLDERS = 100;
/** How many uploads are looked at when too many seem to be open. */
const LOOKED_AT = 32;

/** Uploads of blobs (distribution specification 1.1, "Pushing blobs", with the development version's cancel and algorithm). */
export class Uploads {
  readonly #parts: RegistryParts;
  readonly #locks = new KeyedLock();
  /** Uploads that this process began and that have not ended. */
  readonly #open = new Set<string>();

  constructor(parts: RegistryParts) {
    this.#parts = parts;
  }

  get open(): number {
    return this.#open.size;
  }

  /** POST: a new upload, a whole blob (`digest=`), or a blob of another repository (`mount=`). */
  async begin(call: Call, name: string): Promise<Response> {
    const { query } = call;
    const mount = query.get("mount");
    if (mount !== null) {
      const mounted = await this.#mount(call, name, digestOf(mount));
      if (mounted !== undefined) return mounted;
    }
    const whole = mount === null ? query.get("digest") : null;
    const digest = whole === null ? undefined : digestOf(whole);
    const algorithm = digest === undefined ? wantedAlgorithm(query) : digestAlgorithm(digest);
    if (this.#open.size >= this.#parts.limits.uploads) await this.#forgetEnded();
    if (this.#open.size >= this.#parts.limits.uploads) {
      throw fault("TOOMANYREQUESTS", "too many uploads are open", { headers: { "Retry-After": "10" } });
    }
    const id = newUploadId(name, algorithm);
    this.#open.add(id);
    await this.#parts.storage.contents.begin(id);
    if (digest !== undefined) return await this.#whole(call, { name, id, digest });
    return new Response(null, { status: 202, headers: uploadHeaders(name, { id, offset: 0 }) });
  }

  /** A body that comes with its digest. When it fails there is nothing to go on with. */
  async #whole(call: Call, upload: { name: string; id: string; digest: Digest }): Promise<Response> {
    try {
      await this.#append(call, upload.name, upload.id);
      return await this.#complete(call, upload);
    } catch (error) {
      await this.#cancel(upload.id);
      throw error;
    }
  }

  /** PATCH: more bytes. */
  async append(call: Call, name: string, id: string): Promise<Response> {
    this.#check(name, id);
    return await this.#locks.with(id, async () => {
      const status = await this.#append(call, name, id);
      return new Response(null, { status: 202, headers: uploadHeaders(name, status) });
    });
  }

  /** PUT: the last bytes, if any, and the digest of all. */
  async finish(call: Call, name: string, id: string): Promise<Response> {
    this.#check(name, id);
    const digest = digestOf(call.query.get("digest") ?? "");
    return await this.#locks.with(id, async () => {
      if (hasBody(call.request)) await this.#append(call, name, id);
      return await this.#complete(call, { name, id, digest });
    });
  }

  /** GET: how far it is. */
  async status(name: string, id: string): Promise<Response> {
    this.#check(name, id);
    const status = await this.#parts.storage.contents.status(id);
    if (status === undefined) throw fault("BLOB_UPLOAD_UNKNOWN", "there is no such upload");
    return new Response(null, { status: 204, headers: uploadHeaders(name, status) });
  }

  /** DELETE. */
  async cancel(name: string, id: string): Promise<Response> {
    this.#check(name, id);
    return await this.#locks.with(id, async () => {
      if ((await this.#parts.storage.contents.status(id)) === undefined) {
        throw fault("BLOB_UPLOAD_UNKNOWN", "there is no such upload");
      }
      await this.#cancel(id);
      return new Response(null, { status: 204 });
    });
  }

  /** Ends uploads that nobody has gone on with since `before` (milliseconds since 1970). Returns how many. */
  async expire(before: number): Promise<number> {
    let count = 0;
    for await (const id of this.#parts.storage.contents.idleUploads(before)) {
      await this.#locks.with(id, () => this.#cancel(id));
      count++;
    }
    return count;
  }

  /** Uploads that another replica ended, or a collection, still count here: the oldest are looked at. */
  async #forgetEnded(): Promise<void> {
    const oldest = [...this.#open.keys().take(LOOKED_AT)];
    for (const id of oldest) {
      this.#open.delete(id);
      if ((await this.#parts.storage.contents.status(id)) !== undefined) this.#open.add(id);
    }
  }

  async #cancel(id: string): Promise<void> {
    this.#open.delete(id);
    await this.#parts.storage.contents.cancel(id);
  }

  /** The repository is part of an upload's name: nobody can go on with it through another one. */
  #check(name: string, id: string): void {
    if (id.slice(37, 53) !== mark(name)) throw fault("BLOB_UPLOAD_UNKNOWN", "there is no such upload");
  }

  async #append(call: Call, name: string, id: string): Promise<UploadStatus> {
    const { contents } = this.#parts.storage;
    try {
      return await contents.append(id, call.request.body, {
        ...chunkOf(call.request),
        algorithm: algorithmOf(id),
        limit: this.#parts.limits.blob,
      });
    } catch (error) {
      if (isError(error, "not-found")) throw fault("BLOB_UPLOAD_UNKNOWN", error.message);
      if (isError(error, "invalid")) throw fault("SIZE_INVALID", error.message);
      if (isError(error, "exhausted") && error.details.limit !== undefined) throw fault("TOO_LARGE", error.message);
      if (!isError(error, "conflict")) throw error;
      const status = await contents.status(id);
      throw fault("RANGE_INVALID", error.message, status && { headers: uploadHeaders(name, status) });
    }
  }

  async #complete(call: Call, { name, id, digest }: { name: string; id: string; digest: Digest }): Promise<Response> {
    const { storage, admit } = this.#parts;
    const measured = await this.#measure(id, digestAlgorithm(digest));
    if (measured.hash !== digestHex(digest)) {
      await this.#cancel(id);
      throw fault("DIGEST_INVALID", "the bytes that arrived have another digest", { detail: { digest } });
    }
    const held = await findBlob(storage, name, digest);
    if (held === undefined) await admit(name, digest, measured.size);
    const known = await findContent(storage, digest);
    // Bytes that are here already are not kept twice, unless their file is gone: then these heal the registry.
    if (known !== undefined && (await storage.contents.has(known)) && (await holdBlob(storage, name, digest, known))) {
      await this.#cancel(id);
    } else {
      await addBlob(storage, name, digest, await storage.contents.finish(measured, digest.replace(":", "-")));
      this.#open.delete(id);
    }
    call.announce({ action: "push", name, digest, size: measured.size, mediaType: "application/octet-stream" });
    return created(name, digest);
  }

  async #measure(id: string, algorithm: DigestAlgorithm) {
    try {
      return await this.#parts.storage.contents.measure(id, algorithm);
    } catch (error) {
      if (isError(error, "not-found")) throw fault("BLOB_UPLOAD_UNKNOWN", error.message);
      throw error;
    }
  }

  /** Gives a repository a blob of another one, without its bytes being sent. Undefined when that cannot be. */
  async #mount(call: Call, name: string, digest: Digest): Promise<Response | undefined> {
    const { storage, admit } = this.#parts;
    const from = call.query.get("from");
    const source = from === null ? await this.#readableHolder(call, digest) : nameOf(from);
    if (source === undefined || !call.access.allows(source, "pull")) return undefined;
    const blob = await findBlob(storage, source, digest);
    if (blob === undefined) return undefined;
    await admit(name, digest, blob.size);
    if (!(await holdBlob(storage, name, digest, blob))) return undefined;
    call.announce({ action: "mount", name, digest, size: blob.size });
    return created(name, digest);
  }

  /** A repository that has a blob and that the client may read: a digest alone must not open what others hold. */
  async #readableHolder(call: Call, digest: Digest): Promise<string | undefined> {
    const prefix = layout.holders(digest);
    const keys = await this.#parts.storage.records.list(prefix, { limit: MAX_HOLDERS });
    for (const name of new Set(keys.map((key) => nameIn(partAfter(key, prefix))))) {
      if (!call.access.allows(name, "pull")) continue;
      if ((await findBlob(this.#parts.storage, name, digest)) !== undefined) return name;
    }
    return undefined;
  }
}

function created(name: string, digest: Digest): Response {
  const headers = { Location: `/v2/${name}/blobs/${digest}`, "Docker-Content-Digest": digest };
  return new Response(null, { status: 201, headers });
}

function uploadHeaders(name: string, { id, offset }: UploadStatus): Record<string, string> {
  return {
    Location: `/v2/${name}/blobs/uploads/${id}`,
    Range: `0-${Math.max(0, offset - 1)}`,
    "Docker-Upload-UUID": id,
  };
}

/** A UUID, a mark of the repository, and `-5` for an upload of a sha512 blob. */
export function newUploadId(name: string, algorithm: DigestAlgorithm): string {
  return `${randomUUID()}-${mark(name)}${algorithm === "sha512" ? "-5" : ""}`;
}

function algorithmOf(id: string): DigestAlgorithm {
  return id.endsWith("-5") && id.length > 53 ? "sha512" : "sha256";
}

function mark(name: string): string {
  return digestHex(hashOf(name)).slice(0, 16);
}

function wantedAlgorithm(query: URLSearchParams): DigestAlgorithm {
  const wanted = query.get("digest-algorithm") ?? "sha256";
  if (wanted === "sha256" || wanted === "sha512") return wanted;
  throw fault("DIGEST_INVALID", "unknown digest algorithm: sha256 and sha512 are known", {
    detail: wanted.slice(0, 50),
  });
}

function hasBody(request: Request): boolean {
  return request.body !== null && request.headers.get("content-length") !== "0";
}

/** What a request says of its bytes: `Content-Range: 0-999`, with or without a leading `bytes `, and `Content-Length`. */
function chunkOf(request: Request): Pick<AppendOptions, "offset" | "length"> {
  const announced = request.headers.get("content-length");
  const length = announced === null ? undefined : Number(announced);
  const range = request.headers.get("content-range");
  if (range === null) return length === undefined ? {} : { length };
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(range.trim());
  const offset = Number(match?.[1]);
  const ranged = Number(match?.[2]) - offset + 1;
  if (match === null || !Number.isSafeInteger(ranged) || ranged <= 0 || (length !== undefined && length !== ranged)) {
    throw fault("SIZE_INVALID", "Content-Range must be of the form 0-999 and agree with Content-Length");
  }
  return { offset, length: ranged };
}
