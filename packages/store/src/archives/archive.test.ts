import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorCode } from "@slipway/base";
import { type DiffId, digestOf, encodeImageConfig, hostPlatform } from "@slipway/oci";
import { BASE_IMAGE, baseImageArchive, type TarMember, tarOf } from "@slipway/testkit";
import type { Store } from "../faces.ts";
import { checkInvariants } from "../invariants.ts";
import { openStore } from "../open-store.ts";

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

const file = (name: string, content: string | Uint8Array): TarMember => ({ name, type: "file", content });
const json = (value: unknown) => JSON.stringify(value);

/** Two layers, and an image of the first, the second and the first again. */
function parts() {
  const layers = ["one", "two"].map((text) => tarOf([file(text, text)]));
  const [one = new Uint8Array(), two = new Uint8Array()] = layers;
  const diffIds = [one, two, one].map((layer) => digestOf(layer) as DiffId);
  const { bytes, id } = encodeImageConfig({ ...hostPlatform(), config: {}, diffIds, history: [] });
  return { one, two, config: bytes, hex: id.slice("sha256:".length), id };
}

async function loadInto(store: Store, members: readonly TarMember[]) {
  const [loaded] = await store.images.load(streamOf(tarOf(members)));
  const top = loaded?.image.layers.at(-1);
  if (loaded === undefined || top === undefined) throw new Error("nothing was loaded");
  expect((await store.layers.view(top)).readdir("/")).toEqual(["one", "two"]);
  expect(await checkInvariants(store)).toEqual([]);
  return loaded;
}

test("an archive of Docker before 25 loads: directories of layers, a link for one that appears twice", async () => {
  const { one, two, config, hex, id } = parts();
  const store = await emptyStore();
  const loaded = await loadInto(store, [
    { name: "aaa", type: "dir", mode: 0o755 },
    file("aaa/VERSION", "1.0"),
    file("aaa/json", json({ id: "aaa" })),
    file("aaa/layer.tar", one),
    file("bbb/layer.tar", two),
    { name: "ccc/layer.tar", type: "symlink", linkname: "../aaa/layer.tar" },
    file(`${hex}.json`, config),
    file(
      "manifest.json",
      json([
        {
          Config: `${hex}.json`,
          RepoTags: ["old:1", "old:2"],
          Layers: ["aaa/layer.tar", "bbb/layer.tar", "ccc/layer.tar"],
        },
      ]),
    ),
    file("repositories", json({ old: { "1": "ccc" } })),
  ]);
  expect(loaded.image.id).toBe(id);
  expect(loaded.names.map(({ tag }) => tag)).toEqual(["1", "2"]);
});

test("an archive of podman loads: layers named by digest, links to them from the old places", async () => {
  const { one, two, config, hex, id } = parts();
  const [first, second] = [one, two].map((layer) => `${digestOf(layer).slice("sha256:".length)}.tar`);
  const store = await emptyStore();
  const loaded = await loadInto(store, [
    file(first ?? "", one),
    file(second ?? "", two),
    { name: "x/layer.tar", type: "symlink", linkname: `../${first}` },
    file(`${hex}.json`, config),
    file("manifest.json", json([{ Config: `${hex}.json`, RepoTags: null, Layers: [first, second, first] }])),
  ]);
  expect([loaded.image.id, loaded.names]).toEqual([id, []]);
});

test("of an index for several platforms the image of this machine loads, and its manifest is kept byte for byte", async () => {
  const { one, two, config, id } = parts();
  const blob = (bytes: Uint8Array | string) => file(`blobs/sha256/${digestOf(bytes).slice("sha256:".length)}`, bytes);
  const descriptor = (bytes: Uint8Array | string, mediaType: string) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  });
  const packed = Bun.gzipSync(one as Uint8Array<ArrayBuffer>);
  const layers = [packed, two, packed].map((bytes) => descriptor(bytes, "application/vnd.oci.image.layer.v1.tar+gzip"));
  const manifest = json({
    schemaVersion: 2,
    config: descriptor(config, "application/vnd.oci.image.config.v1+json"),
    layers,
    strange: true,
  });
  const type = "application/vnd.oci.image.manifest.v1+json";
  const other = {
    mediaType: type,
    digest: digestOf("elsewhere"),
    size: 9,
    platform: { os: "linux", architecture: "s390x" },
  };
  const attestation = { ...other, platform: { os: "unknown", architecture: "unknown" } };
  const index = json({
    schemaVersion: 2,
    manifests: [other, attestation, { ...descriptor(manifest, type), platform: hostPlatform() }],
  });
  const annotations = { "io.containerd.image.name": "docker.io/library/multi:1" };
  const store = await emptyStore();
  const members = [
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    file(
      "index.json",
      json({
        schemaVersion: 2,
        manifests: [{ ...descriptor(index, "application/vnd.oci.image.index.v1+json"), annotations }],
      }),
    ),
    ...[index, manifest, config, packed, two].map(blob),
  ];
  const loaded = await loadInto(store, members);
  expect(loaded.image.id).toBe(id);
  expect(loaded.image.manifestDigest).toBe(digestOf(manifest));
  expect(store.images.resolve("multi:1").id).toBe(id);
  const again = await emptyStore();
  const saved = await Bun.readableStreamToBytes(await store.images.save(["multi:1"]));
  expect((await again.images.load(streamOf(saved)))[0]?.image.manifestDigest).toBe(digestOf(manifest));
});

test("a decompression bomb is refused before it fills the disk", async () => {
  const store = await emptyStore();
  const zeros = new Uint8Array(64 * 1024 * 1024);
  const header = tarOf([{ name: "bomb", type: "file", size: 2 ** 33 }]).slice(0, -1024);
  const pieces = [
    Bun.gzipSync(header as Uint8Array<ArrayBuffer>),
    ...Array.from({ length: 32 }, () => Bun.gzipSync(zeros)),
  ];
  const failure = await store.images.load(streamOf(Buffer.concat(pieces))).catch((error: unknown) => error);
  expect((failure as Error).message).toContain("decompression bomb");
  expect(await checkInvariants(store)).toEqual([]);
});

test("a load that the client breaks off leaves nothing", async () => {
  const store = await emptyStore();
  const bytes = baseImageArchive();
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.slice(0, 300_000));
    },
    pull(controller) {
      controller.error(new Error("the client went away"));
    },
  });
  const failure = await store.images.load(broken).catch((error: unknown) => error);
  expect((failure as Error).message).toBe("the client went away");
  const abort = new AbortController();
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(bytes.slice(0, 300_000));
      abort.abort();
      return new Promise(() => {});
    },
  });
  expect(await store.images.load(endless, { signal: abort.signal }).catch(errorCode)).toBe("cancelled");
  expect(store.images.list()).toEqual([]);
  expect(await checkInvariants(store)).toEqual([]);
});

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
