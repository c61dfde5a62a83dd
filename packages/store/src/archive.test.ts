import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BASE_IMAGE, baseImageArchive } from "@slipway/testkit";
import type { Store } from "./faces.ts";
import { openStore } from "./open-store.ts";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function emptyStore(): Promise<Store> {
  const root = mkdtempSync(join(tmpdir(), "slipway-archive-"));
  const store = await openStore({ root });
  cleanups.push(async () => {
    await store.close();
    rmSync(root, { recursive: true, force: true });
  });
  return store;
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
}

test("an image that is loaded and saved keeps its digests, compressed or not", async () => {
  const store = await emptyStore();
  const [loaded] = await store.images.load(streamOf(baseImageArchive()));
  expect(loaded?.names.length).toBe(1);
  const image = store.images.resolve(BASE_IMAGE);
  const first = await Bun.readableStreamToBytes(await store.images.save([BASE_IMAGE]));
  const second = await Bun.readableStreamToBytes(await store.images.save([BASE_IMAGE]));
  expect(Buffer.compare(first, second)).toBe(0);
  const packed = [
    first,
    Bun.gzipSync(first as Uint8Array<ArrayBuffer>),
    Bun.zstdCompressSync(first as Uint8Array<ArrayBuffer>),
  ];
  for (const bytes of packed) {
    const other = await emptyStore();
    const [again] = await other.images.load(streamOf(bytes));
    expect(again?.image.id).toBe(image.id);
    expect(again?.image.manifestDigest).toBe(image.manifestDigest);
    expect(other.images.resolve(BASE_IMAGE).layers).toEqual(image.layers);
    expect((await other.layers.lowers(image.layers.at(-1) as never)).length).toBe(image.layers.length);
    expect((await store.images.load(streamOf(bytes)))[0]?.image.id).toBe(image.id);
  }
});
