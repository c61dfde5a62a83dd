import type { Database } from "bun:sqlite";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { type Digest, digestAlgorithm, isDigest } from "@slipway/oci";
import { SingleFile } from "./single-file.ts";

interface DownloadRow {
  readonly digest: string;
  readonly etag: string | null;
  readonly last_modified: string | null;
}

/** What ADD fetched over HTTP, kept below the data root and asked for again only when the server says it changed. */
export class Downloads {
  readonly #database: Database;
  readonly #root: string;

  constructor(database: Database, root: string) {
    this.#database = database;
    this.#root = root;
  }

  /** `checksum` is a digest that the content must have: what is here already is then not asked for. */
  async fetch(
    source: {
      readonly url: string;
      readonly fileName: string;
      readonly checksum?: string;
      /** A header; it is sent to no other host that a redirection may lead to. */
      readonly authorization?: string;
    },
    signal: AbortSignal,
  ): Promise<SingleFile> {
    const wanted = source.checksum;
    if (wanted !== undefined && !isDigest(wanted)) {
      throw new SlipwayError("invalid", `invalid checksum '${wanted.slice(0, 100)}'`, {
        hint: "Write sha256:<64 hex digits>.",
      });
    }
    const known = this.#known(source.url);
    if (known !== undefined && wanted !== undefined && (await this.#has(known, wanted)))
      return this.#file(source.fileName, known);
    const response = await request(source, known, signal);
    if (response.status === 304 && known !== undefined) {
      await this.#check(source.url, known, wanted);
      return this.#file(source.fileName, known);
    }
    if (!response.ok || response.body === null) {
      throw new SlipwayError(
        "not-found",
        `${redacted(source.url)}: the server answered ${response.status} ${response.statusText}`,
      );
    }
    const digest = await this.#store(response.body, signal);
    const row = { digest, etag: response.headers.get("etag"), last_modified: response.headers.get("last-modified") };
    await this.#check(source.url, row, wanted);
    this.#database
      .query("INSERT OR REPLACE INTO build_downloads VALUES (?, ?, ?, ?)")
      .run(source.url, digest, row.etag, row.last_modified);
    return this.#file(source.fileName, row);
  }

  /** Whether a file that is kept has a digest; it is known by its sha256. */
  async #has({ digest }: DownloadRow, wanted: Digest): Promise<boolean> {
    if (digestAlgorithm(wanted) === "sha256") return wanted === `sha256:${digest}`;
    const hash = createHash(digestAlgorithm(wanted));
    for await (const chunk of createReadStream(join(this.#root, digest), { highWaterMark: 1024 * 1024 })) {
      hash.update(chunk as Uint8Array);
    }
    return wanted === `${digestAlgorithm(wanted)}:${hash.digest("hex")}`;
  }

  async #check(url: string, row: DownloadRow, wanted: Digest | undefined): Promise<void> {
    if (wanted === undefined || (await this.#has(row, wanted))) return;
    throw new SlipwayError("corrupt", `${redacted(url)}: digest mismatch sha256:${row.digest}: ${wanted}`, {
      hint: "The file has changed, or the checksum is that of another file.",
    });
  }

  #known(url: string): DownloadRow | undefined {
    const row = this.#database
      .query<DownloadRow, [string]>("SELECT digest, etag, last_modified FROM build_downloads WHERE url = ?")
      .get(url);
    if (row === null) return undefined;
    return statSync(join(this.#root, row.digest), { throwIfNoEntry: false }) === undefined ? undefined : row;
  }

  #file(name: string, { digest, last_modified: lastModified }: DownloadRow): SingleFile {
    const hostPath = join(this.#root, digest);
    const time = lastModified === null ? Number.NaN : Date.parse(lastModified);
    const mtime = Number.isNaN(time) ? 0n : BigInt(time) * 1_000_000n;
    return new SingleFile({ name, hostPath, size: statSync(hostPath).size, mtime, digest });
  }

  async #store(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<string> {
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    const temporary = join(this.#root, `${randomBytes(8).toString("hex")}.tmp`);
    const hash = createHash("sha256");
    const file = createWriteStream(temporary, { mode: 0o600 });
    try {
      for await (const chunk of body) {
        signal.throwIfAborted();
        hash.update(chunk);
        if (!file.write(chunk)) await once(file, "drain");
      }
      file.end();
      await once(file, "close");
      const digest = hash.digest("hex");
      renameSync(temporary, join(this.#root, digest));
      return digest;
    } catch (error) {
      file.destroy();
      rmSync(temporary, { force: true });
      throw error;
    }
  }
}

async function request(
  { url, authorization }: { readonly url: string; readonly authorization?: string },
  known: DownloadRow | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  if (known?.etag) headers["if-none-match"] = known.etag;
  else if (known?.last_modified) headers["if-modified-since"] = known.last_modified;
  try {
    return await fetch(url, { headers, signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new SlipwayError("unavailable", `${redacted(url)} cannot be fetched: ${(cause as Error).message}`, { cause });
  }
}

/** A URL without the password that may stand in it. */
function redacted(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//");
}
