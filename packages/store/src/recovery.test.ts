import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isError } from "@slipway/base";
import { parseReference } from "@slipway/oci";
import { mountOverlay, mounts, unmountBelow } from "@slipway/sys";
import { BASE_IMAGE, baseImageArchive } from "@slipway/testkit";
import type { Layer, Store } from "./faces.ts";
import { checkInvariants } from "./invariants.ts";
import { openStore } from "./open-store.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) {
    unmountBelow(root);
    rmSync(root, { recursive: true, force: true });
  }
});

function temporary(): string {
  const root = mkdtempSync(join(tmpdir(), "slipway-recovery-"));
  roots.push(root);
  return root;
}

async function commitFile(store: Store, name: string, content: string, parent?: Layer): Promise<Layer> {
  const lease = store.leases.open("test");
  const writable = await store.layers.prepare(parent?.chainId, lease);
  writeFileSync(join(writable.upper, name), content);
  return store.layers.commit(writable, lease);
}

/** What a power cut leaves: rows that are on the disk, of files that were written in another boot and may not be. */
function pretendPowerCut(store: Store): void {
  for (const table of ["blobs", "trees"]) store.database.run(`UPDATE ${table} SET unsynced = 'another-boot/0'`);
}

test("a second daemon on the same data root is refused, and told who has it", async () => {
  const root = temporary();
  const store = await openStore({ root });
  const failure = await openStore({ root }).catch((error: unknown) => error);
  expect(isError(failure, "conflict")).toBe(true);
  expect((failure as Error).message).toContain(`in use by process ${process.pid}`);
  await store.close();
  await (await openStore({ root })).close();
});

test("a database of a newer version is refused", async () => {
  const root = temporary();
  const store = await openStore({
    root,
    migrations: [{ name: "other", steps: ["CREATE TABLE other (x)", "CREATE TABLE more (x)"] }],
  });
  await store.close();
  const failure = await openStore({ root, migrations: [{ name: "other", steps: ["CREATE TABLE other (x)"] }] }).catch(
    (error: unknown) => error,
  );
  expect((failure as Error).message).toContain("written by a newer version");
});

test("a writable of a dead process goes, with what is mounted on it; a persistent one stays", async () => {
  const root = temporary();
  const store = await openStore({ root });
  const layer = await commitFile(store, "a", "1");
  const lease = store.leases.open("test");
  const kept = await store.layers.prepare(layer.chainId, lease, { persistent: true });
  const lost = await store.layers.prepare(layer.chainId, lease);
  for (const { lowers, upper, work, merged } of [kept, lost]) mountOverlay({ lowers, upper, work, target: merged });
  writeFileSync(join(kept.merged, "kept"), "kept");
  await store.close();

  const again = await openStore({ root });
  const targets = mounts().map(({ target }) => target);
  expect(targets).toContain(kept.merged);
  expect(targets).not.toContain(lost.merged);
  expect(existsSync(lost.upper)).toBe(false);
  expect(again.layers.writables()).toEqual([kept]);
  await again.collect();
  expect(again.layers.get(layer.chainId)).toBeDefined();
  unmountBelow(kept.merged);
  const committed = await again.layers.commit(kept, again.leases.open("test"));
  expect((await again.layers.view(committed.chainId)).readdir("/")).toEqual(["a", "kept"]);
  await again.close();
});

test("after a power cut, damaged content is dropped with all that stands on it, and the rest stays", async () => {
  const root = temporary();
  const store = await openStore({ root });
  const good = await commitFile(store, "good", "good");
  const bad = await commitFile(store, "bad", "bad");
  const above = await commitFile(store, "above", "above", bad);
  const lease = store.leases.open("test");
  const put = (name: string, ...layers: Layer[]) =>
    store.images.put({
      config: {
        os: "linux",
        architecture: "amd64",
        config: { Env: [name] },
        history: [],
        diffIds: layers.map(({ diffId }) => diffId),
      },
      names: [parseReference(`${name}:latest`)],
      lease,
    });
  await put("fine", good);
  await put("broken", bad, above);
  const [tree = ""] = await store.layers.lowers(bad.chainId);
  truncateSync(join(tree, "bad"), 0);
  pretendPowerCut(store);
  await store.close();

  const again = await openStore({ root });
  expect(await checkInvariants(again)).toEqual([]);
  expect(again.images.list().map(({ names }) => names[0]?.path)).toEqual(["library/fine"]);
  expect(again.layers.get(good.chainId)).toBeDefined();
  expect(again.layers.get(bad.chainId)).toBeUndefined();
  expect(again.layers.get(above.chainId)).toBeUndefined();
  await again.close();
});

test("after a power cut, an extracted tree is made anew from its tar", async () => {
  const root = temporary();
  const store = await openStore({ root });
  const [loaded] = await store.images.load(new Blob([baseImageArchive() as Uint8Array<ArrayBuffer>]).stream());
  const top = loaded?.image.layers.at(-1);
  if (top === undefined) throw new Error("the base image has a layer");
  const [tree = ""] = await store.layers.lowers(top);
  writeFileSync(join(tree, "etc/passwd"), "");
  pretendPowerCut(store);
  await store.close();

  const again = await openStore({ root });
  const view = await again.layers.view(again.images.resolve(BASE_IMAGE).layers.at(-1));
  expect(new TextDecoder().decode(view.readFile("/etc/passwd"))).toContain("root:x:0:0");
  expect(await checkInvariants(again)).toEqual([]);
  await again.close();
});

test("files that no row knows are removed, unfinished downloads are kept", async () => {
  const root = temporary();
  const store = await openStore({ root });
  const writer = await store.blobs.ingest({ key: "download", lease: store.leases.open("test") });
  await writer.write(Buffer.from("half of "));
  await writer.suspend();
  writeFileSync(join(store.paths.ingest, "0123456789abcdef"), "temporary");
  writeFileSync(join(store.paths.content, "blobs/sha256", "0".repeat(64)), "renamed, no row");
  mkdirSync(join(store.paths.layers, "abcdef/diff"), { recursive: true });
  await store.close();

  const again = await openStore({ root });
  expect(await checkInvariants(again)).toEqual([]);
  const resumed = await again.blobs.ingest({ key: "download", lease: again.leases.open("test") });
  expect(resumed.offset).toBe(8);
  await resumed.write(Buffer.from("it"));
  expect(new TextDecoder().decode(await again.blobs.readAll((await resumed.commit()).digest))).toBe("half of it");
  expect(readdirSync(again.paths.layers)).toEqual([]);
  await again.close();
});

test("what has reached the disk is not verified again", async () => {
  const root = temporary();
  const store = await openStore({ root });
  await commitFile(store, "a", "1");
  const unsynced = () => store.database.query("SELECT 1 FROM trees WHERE unsynced IS NOT NULL").all().length;
  expect(unsynced()).toBe(1);
  await store.sync();
  expect(unsynced()).toBe(0);
  await store.close();
});
