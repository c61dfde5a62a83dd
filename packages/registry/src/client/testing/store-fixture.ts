import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ImageConfig, parseReference, type Reference } from "@slipway/oci";
import { checkInvariants, type Image, openStore, type Store } from "@slipway/store";
import { registryMigrations } from "../known-blobs.ts";
import { RegistryClient } from "../registry-client.ts";
import type { RegistrySettings } from "../settings.ts";

/** A store and a registry client over it, in a directory of their own. */
export class StoreFixture implements AsyncDisposable {
  readonly root: string;
  store: Store;
  client: RegistryClient;
  readonly #settings: Partial<RegistrySettings>;

  private constructor(root: string, store: Store, settings: Partial<RegistrySettings>) {
    this.root = root;
    this.store = store;
    this.#settings = settings;
    this.client = new RegistryClient({ store, settings });
  }

  static async open(settings: Partial<RegistrySettings> = {}): Promise<StoreFixture> {
    const root = mkdtempSync(join(tmpdir(), "slipway-client-"));
    const store = await openStore({ root, migrations: [registryMigrations] });
    return new StoreFixture(root, store, { stallTimeout: 500, ...settings });
  }

  /** As after a restart of the daemon. */
  async reopen(): Promise<void> {
    this.client.close();
    await this.store.close();
    this.store = await openStore({ root: this.root, migrations: [registryMigrations] });
    this.client = new RegistryClient({ store: this.store, settings: this.#settings });
  }

  /** An image of layers with a file of these sizes each, that no compression makes smaller, or one with text. */
  async makeImage(name: string, sizes: readonly (number | string)[], architecture = "amd64"): Promise<Image> {
    const { store } = this;
    await using lease = store.leases.open("test");
    let parent: Awaited<ReturnType<Store["layers"]["fromEntries"]>> | undefined;
    const diffIds = [];
    for (const [index, size] of sizes.entries()) {
      const bytes = typeof size === "string" ? Buffer.from(size) : randomBytes(size);
      const metadata = { mode: 0o644, uid: 0, gid: 0, mtime: 0n };
      const entry = {
        kind: "file" as const,
        path: `file${index}`,
        ...metadata,
        content: { from: "bytes" as const, bytes },
      };
      const below = parent === undefined ? {} : { parent: parent.chainId };
      parent = await store.layers.fromEntries({ ...below, entries: [entry], form: "tar", lease });
      diffIds.push(parent.diffId);
    }
    const config: ImageConfig = { os: "linux", architecture, config: {}, diffIds, history: [] };
    return await store.images.put({ config, names: [parseReference(name)], lease });
  }

  async problems(): Promise<string[]> {
    return await checkInvariants(this.store);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.store.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function named(port: number, path: string): Reference {
  return parseReference(`localhost:${port}/${path}`);
}

function randomBytes(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}
