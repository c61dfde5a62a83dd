import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseReference } from "@slipway/oci";
import type { Layer, Lease, Root, Store } from "./faces.ts";
import { checkInvariants } from "./invariants.ts";
import { openStore } from "./open-store.ts";

let root: string;
let store: Store;
let lease: Lease;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-collect-"));
  store = await openStore({ root });
  lease = store.leases.open("making it");
});
afterEach(async () => {
  expect(await checkInvariants(store)).toEqual([]);
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

async function commitFile(name: string, parent?: Layer): Promise<Layer> {
  const writable = await store.layers.prepare(parent?.chainId, lease);
  writeFileSync(join(writable.upper, name), name);
  return store.layers.commit(writable, lease);
}

function putImage(name: string, ...layers: Layer[]) {
  const diffIds = layers.map(({ diffId }) => diffId);
  return store.images.put({
    config: { os: "linux", architecture: "amd64", config: { Env: [name] }, history: [], diffIds },
    names: [parseReference(`${name}:latest`)],
    lease,
  });
}

test("what is used stays and says why; what is not goes; a plan only tells", async () => {
  const bottom = await commitFile("bottom");
  const kept = await commitFile("kept", bottom);
  const lost = await commitFile("lost", bottom);
  const image = await putImage("app", bottom, kept);
  lease.release();
  const plan = await store.collect({ plan: true });
  expect(plan.removed.map(({ id }) => id as string)).toEqual([lost.chainId]);
  expect(plan.freedBytes).toBe(4);
  expect(store.layers.get(lost.chainId)).toBeDefined();
  const report = await store.collect();
  expect(report.removed).toEqual(plan.removed);
  expect(store.layers.get(lost.chainId)).toBeUndefined();
  const reasons = new Map(report.kept.map(({ kind, id, reasons }) => [`${kind} ${id}`, reasons]));
  expect(reasons.get(`image ${image.id}`)).toContain("named docker.io/library/app:latest");
  expect(reasons.get(`layer ${kept.chainId}`)).toEqual([`image ${image.id}`]);
  expect(reasons.get(`layer ${bottom.chainId}`)).toEqual([`below layer ${kept.chainId}`]);
});

test("layers that share a diff ID share its files until the last of them goes", async () => {
  const one = await commitFile("one");
  const two = await commitFile("two");
  const stacked = store.layers.restack(two.chainId, one.chainId, lease);
  if (stacked === undefined) throw new Error("the layer depends on no parent");
  expect(await store.layers.lowers(stacked.chainId)).toEqual([
    ...(await store.layers.lowers(one.chainId)),
    ...(await store.layers.lowers(two.chainId)),
  ]);
  const image = await putImage("stacked", two, stacked);
  lease.release();
  const report = await store.collect();
  expect(report.removed.map(({ id, bytes }) => [id as string, bytes])).toEqual([[one.chainId, 0]]);
  expect((await store.layers.view(stacked.chainId)).readdir("/")).toEqual(["one", "two"]);
  store.images.remove(image.id);
  expect((await store.collect()).freedBytes).toBeGreaterThan(6);
  expect(store.usage()).toEqual({ layerBytes: 0, blobBytes: 0 });
});

test("roots of other packages hold what they name, with everything below it", async () => {
  const bottom = await commitFile("bottom");
  const top = await commitFile("top", bottom);
  const roots: Root[] = [{ kind: "layer", chainId: top.chainId, reason: "step 3" }];
  store.addRoots("build cache", () => roots);
  lease.release();
  const { kept } = await store.collect();
  expect(kept.find(({ id }) => id === (top.chainId as string))?.reasons).toEqual(["build cache: step 3"]);
  expect(store.layers.get(bottom.chainId)).toBeDefined();
  roots.length = 0;
  await store.collect();
  expect(store.layers.get(bottom.chainId)).toBeUndefined();
});

test("names move, several lead to one image, and an image without a name stays until it is removed", async () => {
  const first = await putImage("app", await commitFile("first"));
  store.images.tag(first.id, parseReference("other:v1"));
  const second = await putImage("second", await commitFile("second"));
  store.images.tag(second.id, parseReference("app"));
  expect(store.images.resolve("app").id).toBe(second.id);
  expect(store.images.get(first.id)?.names.map(({ path, tag }) => `${path}:${tag}`)).toEqual(["library/other:v1"]);
  expect(store.images.untag(parseReference("other:v1"))).toBe(first.id);
  lease.release();
  await store.collect();
  expect(store.images.find(first.id.slice(7, 15))?.names).toEqual([]);
  expect(() => store.images.resolve("secon")).toThrow("No such image: secon:latest");
  try {
    store.images.resolve("secon");
  } catch (error) {
    expect((error as { hint?: string }).hint).toBe("Did you mean 'second:latest'?");
  }
});
