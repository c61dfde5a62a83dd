import { afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeImageConfig, parseReference } from "@slipway/oci";
import { mountOverlay, unmount } from "@slipway/sys";
import { openStore } from "./open-store.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});
function temporary(): string {
  const root = mkdtempSync(join(tmpdir(), "slipway-store-"));
  roots.push(root);
  return root;
}

test("an upper directory becomes a layer, and an image is found by its name", async () => {
  const root = temporary();
  const store = await openStore({ root });
  const lease = store.leases.open("test");
  const writable = await store.layers.prepare(undefined, lease);
  mkdirSync(join(writable.upper, "bin"));
  writeFileSync(join(writable.upper, "bin/sh"), "hello");
  chmodSync(join(writable.upper, "bin/sh"), 0o4755);
  linkSync(join(writable.upper, "bin/sh"), join(writable.upper, "bin/bash"));
  symlinkSync("bin/sh", join(writable.upper, "sh"));
  const layer = await store.layers.commit(writable, lease);
  expect(layer.size).toBe(5);
  const [tree] = await store.layers.lowers(layer.chainId);
  expect(readFileSync(join(tree ?? "", "bin/bash"), "utf8")).toBe("hello");

  const second = await store.layers.prepare(layer.chainId, lease);
  mountOverlay({ lowers: second.lowers, upper: second.upper, work: second.work, target: second.merged });
  rmSync(join(second.merged, "bin/bash"));
  rmSync(join(second.merged, "sh"));
  mkdirSync(join(second.merged, "sh"));
  writeFileSync(join(second.merged, "sh/x"), "1");
  unmount(second.merged);
  const top = await store.layers.commit(second, lease);
  const view = await store.layers.view(top.chainId);
  expect(view.readdir("/")).toEqual(["bin", "sh"]);
  expect(view.readdir("/bin")).toEqual(["sh"]);
  expect(view.lstat("/bin/bash")).toBeUndefined();

  const { size, stream } = await store.layers.openTar(top.chainId);
  const bytes = await Bun.readableStreamToBytes(stream);
  expect(bytes.length).toBe(size);
  const blob = await store.blobs.put(bytes, lease);
  expect(blob.digest as string).toBe(top.diffId);

  const config = { os: "linux", architecture: "amd64", config: {}, history: [], diffIds: [layer.diffId, top.diffId] };
  const image = await store.images.put({ config, names: [parseReference("busybox:latest")], lease });
  expect(image.id).toBe(encodeImageConfig(config).id);
  expect(store.images.find("busybox")?.id).toBe(image.id);
  expect(store.images.find(image.id.slice(7, 19))?.id).toBe(image.id);
  lease.release();
  await store.collect();
  expect(store.layers.get(top.chainId)).toBeDefined();
  await store.close();

  const again = await openStore({ root });
  expect(again.images.resolve("busybox").layers.length).toBe(2);
  again.images.remove(image.id);
  const report = await again.collect();
  expect(report.removed.length).toBeGreaterThan(3);
  expect(existsSync(tree ?? "")).toBe(false);
  await again.close();
  expect(lstatSync(root).isDirectory()).toBe(true);
});

test("a tar layer is made from entries, extracted when needed, and is the same as the tree layer", async () => {
  const root = temporary();
  const store = await openStore({ root });
  const lease = store.leases.open("test");
  const entries = Array.from({ length: 500 }, (_, index) => ({
    kind: "file" as const,
    path: `dir/sub${index % 7}/file-${index}`,
    mode: 0o644,
    uid: 1,
    gid: 2,
    mtime: 1_700_000_000_123_456_789n,
    xattrs: new Map([["user.x", new Uint8Array([1, 2, index & 0xff])]]),
    content: { from: "bytes" as const, bytes: new Uint8Array(index * 3).fill(index) },
  }));
  const tar = await store.layers.fromEntries({ entries, form: "tar", lease, remember: true });
  const index = await store.layers.tarIndex(tar.chainId);
  const span = index?.files.get("dir/sub2/file-100");
  expect(span?.size).toBe(300);
  const [tree = ""] = await store.layers.lowers(tar.chainId);
  expect(lstatSync(`${tree}/dir/sub2/file-100`).size).toBe(300);
  const other = temporary();
  const second = await openStore({ root: other });
  const lease2 = second.leases.open("x");
  const treeLayer = await second.layers.fromEntries({ entries, form: "tree", lease: lease2 });
  expect(treeLayer.diffId).toBe(tar.diffId);
  const { stream } = await second.layers.openTar(treeLayer.chainId);
  const blob = await second.blobs.put(await Bun.readableStreamToBytes(stream), lease2);
  expect(blob.digest as string).toBe(tar.diffId);
  await store.close();
  await second.close();
});
