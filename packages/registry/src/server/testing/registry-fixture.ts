import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@slipway/base";
import { encodeManifest, MEDIA_TYPES, parseDigest } from "@slipway/oci";
import { type ListenOptions, type RegistryOptions, RegistryServer } from "../serve.ts";
import type { Storage } from "../storage/contents.ts";
import { openFileStorage } from "../storage/open-files.ts";

/** A registry on a folder of its own, at a port of its own. */
export class TestRegistry implements AsyncDisposable {
  readonly server: RegistryServer;
  readonly storage: Storage;
  readonly #folder: string;

  static async start(
    options: Partial<RegistryOptions> = {},
    listen: Partial<ListenOptions> = {},
  ): Promise<TestRegistry> {
    const folder = mkdtempSync(join(tmpdir(), "slipway-registry-"));
    const storage = options.storage ?? (await openFileStorage(folder));
    const server = await RegistryServer.start(
      { log: silentLogger, ...options, storage },
      { hostname: "127.0.0.1", port: 0, ...listen },
    );
    return new TestRegistry(server, storage, folder);
  }

  private constructor(server: RegistryServer, storage: Storage, folder: string) {
    this.server = server;
    this.storage = storage;
    this.#folder = folder;
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.url}${path}`, init);
  }

  /** Pushes bytes as a blob and returns their digest. */
  async pushBlob(name: string, bytes: string | Uint8Array<ArrayBuffer>): Promise<string> {
    const digest = sha256(bytes);
    const response = await this.fetch(`/v2/${name}/blobs/uploads/?digest=${digest}`, { method: "POST", body: bytes });
    if (response.status !== 201) throw new Error(`push of a blob: ${response.status} ${await response.text()}`);
    return digest;
  }

  /** Pushes an image of one layer, with an own config, and returns the manifest's digest. */
  async pushImage(name: string, reference: string, content: string = crypto.randomUUID()): Promise<string> {
    const config = JSON.stringify({
      architecture: "amd64",
      os: "linux",
      rootfs: { type: "layers", diff_ids: [] },
      content,
    });
    const bytes = imageManifest({ digest: await this.pushBlob(name, config), size: config.length }, [
      { digest: await this.pushBlob(name, content), size: content.length },
    ]);
    const response = await this.putManifest(name, reference, bytes);
    if (response.status !== 201) throw new Error(`push of a manifest: ${response.status} ${await response.text()}`);
    return sha256(bytes);
  }

  putManifest(name: string, reference: string, bytes: Uint8Array<ArrayBuffer>): Promise<Response> {
    const headers = { "Content-Type": MEDIA_TYPES.ociManifest };
    return this.fetch(`/v2/${name}/manifests/${reference}`, { method: "PUT", body: bytes, headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface Part {
  readonly digest: string;
  readonly size: number;
}

/** The bytes of an image's manifest. */
export function imageManifest(
  config: Part,
  layers: readonly Part[],
  more: { subject?: Part; artifactType?: string } = {},
) {
  const { subject, artifactType } = more;
  const descriptor = (mediaType: string, { digest, size }: Part) => ({ mediaType, digest: parseDigest(digest), size });
  return new Uint8Array(
    encodeManifest({
      mediaType: MEDIA_TYPES.ociManifest,
      config: descriptor(MEDIA_TYPES.ociConfig, config),
      layers: layers.map((layer) => descriptor(MEDIA_TYPES.ociLayer, layer)),
      ...(subject && { subject: descriptor(MEDIA_TYPES.ociManifest, subject) }),
      ...(artifactType !== undefined && { artifactType }),
    }),
  );
}

export function sha256(bytes: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
