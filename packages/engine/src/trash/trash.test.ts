import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { familiarReference } from "@slipway/oci";
import { checkInvariants } from "@slipway/store";
import { mountTmpfs, unmountBelow } from "@slipway/sys";
import { BASE_IMAGE, baseImageArchive, baseRootTar } from "@slipway/testkit";
import type { PruneStep } from "../prune/prune-plan.ts";
import { containerOf, type Fixture, idleSupervisor, openFixture, streamOf } from "../testing/engine-fixture.ts";

let fixture: Fixture;
let now = Date.now();
beforeEach(async () => {
  now = Date.now();
  fixture = await openFixture({ supervisor: idleSupervisor, trash: { maxBytes: 1e9 }, now: () => now });
});
afterEach(async () => {
  expect(await checkInvariants(fixture.store)).toEqual([]);
  await fixture[Symbol.asyncDispose]();
});

const IMAGES: PruneStep = { kind: "image", filters: { dangling: ["false"] } };
const VOLUMES: PruneStep = { kind: "volume", filters: { all: ["true"] } };
const ALL: readonly PruneStep[] = [VOLUMES, IMAGES];

/** An image of its own content, under this name. */
async function importImage(name: string, change = `CMD ${name}`): Promise<string> {
  const options = { reference: name, message: "", changes: [change], signal: new AbortController().signal };
  return await fixture.engine.images.import(streamOf(baseRootTar()), options);
}

async function volumeWith(name: string, text: string, labels: Record<string, string> = {}): Promise<string> {
  const { mountpoint } = await fixture.engine.volumes.create({ name, labels, options: {} });
  writeFileSync(join(mountpoint, "file"), text);
  return join(mountpoint, "file");
}

const prune = (steps = ALL) => fixture.engine.prunes.run(steps, { trash: true });

describe("a prune with a trash", () => {
  test("is undone whole: the image runs under its names, the volume has its data, labels and age", async () => {
    const { trash, images, volumes, containers } = fixture.engine;
    const id = await importImage("thrown:1");
    await images.tag("thrown:1", "also", "2");
    const file = await volumeWith("data", "precious", { keep: "me" });
    const before = await volumes.inspect("data");

    const { reports, items, trash: kept } = await prune();
    expect(reports.map(({ kind }) => kind)).toEqual(["volume", "image"]);
    expect(items.map(({ id: each, trash: goes }) => [each, goes])).toEqual(
      expect.arrayContaining([
        ["data", true],
        [id, true],
      ]),
    );
    expect(existsSync(file)).toBe(false);
    expect(fixture.store.images.find("thrown:1")).toBeUndefined();
    expect(kept?.bytes).toBeGreaterThan(0);
    expect(trash.contents().bytes).toBe(kept?.bytes ?? 0);

    const undone = await trash.undo(undefined);
    expect(undone.failed).toEqual([]);
    expect(readFileSync(file, "utf8")).toBe("precious");
    expect(await volumes.inspect("data")).toEqual(before);
    expect((await images.inspect("also:2")).id as string).toBe(id);
    expect((await images.inspect("also:2")).names.map(familiarReference).sort()).toEqual(["also:2", "thrown:1"]);
    expect(trash.contents().items).toEqual([]);
    const { id: container } = await containers.create({ ...containerOf(["x"]), config: { Image: "thrown:1" } });
    await containers.remove(container, { force: true, volumes: true });
  });

  test("frees nothing of what is kept, and all of it when the trash is emptied, as its plan says", async () => {
    const { prunes, trash } = fixture.engine;
    await importImage("one:1");
    await volumeWith("vv", "x".repeat(5000));
    const without = await prunes.plan(ALL);
    const plan = await prunes.plan(ALL, { trash: true });
    expect(plan.freedBytes).toBe(0);
    expect(plan.trashBytes).toBe(without.freedBytes);
    const { freedBytes, trash: kept } = await prune();
    expect(freedBytes).toBe(plan.freedBytes);
    expect(kept?.bytes).toBe(plan.trashBytes);
    const { kept: roots } = await fixture.store.collect({ plan: true });
    expect(JSON.stringify(roots)).toContain("trash: pruned image docker.io/library/one:1, kept until ");
    expect((await trash.empty()).freedBytes).toBe(plan.trashBytes);
    expect((await fixture.store.collect({ plan: true })).freedBytes).toBe(0);
    expect(fixture.store.usage()).toEqual({ layerBytes: 0, blobBytes: 0 });
  });

  test("keeps nothing without being asked: Docker's own calls remove at once", async () => {
    const { images, volumes, trash } = fixture.engine;
    await importImage("one:1");
    await volumeWith("vv", "x");
    expect((await volumes.prune({ all: ["true"] })).freedBytes).toBe(1);
    expect((await images.prune({ dangling: ["false"] })).freedBytes).toBeGreaterThan(0);
    expect(trash.contents().items).toEqual([]);
    await volumeWith("by-name", "x");
    await volumes.remove("by-name", false);
    expect(trash.contents().items).toEqual([]);
    expect(trash.undo(undefined)).rejects.toThrow("nothing that was pruned can be brought back");
  });

  test("names that something else has by now stay there, and are told", async () => {
    const { trash, images, volumes } = fixture.engine;
    const old = await importImage("app:1");
    await volumeWith("data", "old");
    await prune();
    const fresh = await importImage("app:1", "CMD other");
    const file = await volumeWith("data", "new");
    const { restored, failed } = await trash.undo(undefined);
    expect(restored.find(({ id }) => id === old)).toMatchObject({ names: [], taken: ["app:1"] });
    expect(restored.flatMap(({ names }) => names)).toEqual([BASE_IMAGE]);
    expect((await images.inspect("app:1")).id as string).toBe(fresh);
    expect(failed.map(({ item }) => item.target)).toEqual(["data"]);
    expect(String(failed[0]?.error)).toContain("a volume named data already exists");
    expect(readFileSync(file, "utf8")).toBe("new");

    await trash.undo("data", { as: "data-old" });
    const { mountpoint } = await volumes.inspect("data-old");
    expect(readFileSync(join(mountpoint, "file"), "utf8")).toBe("old");
    expect(trash.contents().items).toEqual([]);
  });

  test("an image that was loaded again meanwhile only gets the names back that it has not", async () => {
    const { trash, images } = fixture.engine;
    const { id } = await images.inspect(BASE_IMAGE);
    await images.tag(BASE_IMAGE, "extra", "1");
    await prune([IMAGES]);
    await images.load(streamOf(baseImageArchive()), { signal: new AbortController().signal, onProgress: () => {} });
    expect((await images.inspect(BASE_IMAGE)).id).toBe(id);
    await trash.undo(undefined);
    expect((await images.inspect("extra:1")).id).toBe(id);
    expect((await images.inspect("extra:1")).names).toHaveLength(2);
  });

  test("a volume with options is its record: nothing is mounted, nothing of the device is touched", async () => {
    const { trash, volumes } = fixture.engine;
    const options = { type: "none", device: fixture.execRoot, o: "bind" };
    await volumes.create({ name: "bound", labels: { a: "b" }, options });
    const before = await volumes.inspect("bound");
    await prune([VOLUMES]);
    expect((await volumes.list({})).map(({ name }) => name)).toEqual([]);
    await trash.undo(undefined);
    expect(await volumes.inspect("bound")).toEqual(before);
  });

  test("prunes are undone in any order, whole or thing by thing, and the last one without a word", async () => {
    const { trash, volumes } = fixture.engine;
    await volumeWith("va", "1");
    const first = await prune([VOLUMES]);
    await volumeWith("vb", "2");
    await volumeWith("vc", "3");
    await prune([VOLUMES]);
    const items = trash.contents().items;
    expect(items.map(({ target }) => target).sort()).toEqual(["va", "vb", "vc"]);
    await trash.undo(items.find(({ target }) => target === "vc")?.id.slice(0, 8));
    await trash.undo(first.trash?.prune);
    expect((await volumes.list({})).map(({ name }) => name)).toEqual(["va", "vc"]);
    expect((await trash.undo(undefined)).restored.map(({ id }) => id)).toEqual(["vb"]);
    expect(trash.undo("zzz")).rejects.toThrow("nothing in the trash has the ID zzz");
  });
});

describe("the bounds of the trash", () => {
  test("its time: what is over goes with the next start, and what is not stays", async () => {
    await volumeWith("old", "1");
    await prune([VOLUMES]);
    now += 23 * 3600 * 1000;
    await volumeWith("young", "2");
    await prune([VOLUMES]);
    fixture = await fixture.reopen();
    expect(fixture.engine.trash.contents().items.map(({ target }) => target)).toEqual(["young", "old"]);
    now += 2 * 3600 * 1000;
    fixture = await fixture.reopen();
    expect(fixture.engine.trash.contents().items.map(({ target }) => target)).toEqual(["young"]);
    await fixture.engine.trash.undo(undefined);
    expect((await fixture.engine.volumes.inspect("young")).name).toBe("young");
  });

  test("its size: the oldest goes, and what is larger goes at once, as the plan says beforehand", async () => {
    const { trash, prunes } = await restart(10_000);
    await volumeWith("first", "x".repeat(6000));
    await prune([VOLUMES]);
    await volumeWith("second", "x".repeat(6000));
    const { freedBytes } = await prune([VOLUMES]);
    expect(freedBytes).toBe(6000);
    expect(trash.contents().items.map(({ target }) => target)).toEqual(["second"]);

    await volumeWith("huge", "x".repeat(20_000));
    const plan = await prunes.plan([VOLUMES], { trash: true });
    expect(plan.items.map(({ trash: goes }) => goes)).toEqual([false]);
    expect(plan).toMatchObject({ freedBytes: 20_000, trashBytes: 0 });
    const result = await prune([VOLUMES]);
    expect([result.freedBytes, result.trash]).toEqual([20_000, undefined]);
    expect(trash.contents().items.map(({ target }) => target)).toEqual(["second"]);
  });

  test("what was used last is kept first when not all of a prune fits", async () => {
    const { prunes } = await restart(10_000);
    await volumeWith("older", "x".repeat(6000));
    now += 1000;
    await volumeWith("newer", "x".repeat(6000));
    const { items, freedBytes, trashBytes } = await prunes.plan([VOLUMES], { trash: true });
    expect(Object.fromEntries(items.map((item) => [item.id, item.trash]))).toEqual({ older: false, newer: true });
    expect([freedBytes, trashBytes]).toEqual([6000, 6000]);
    const result = await prune([VOLUMES]);
    expect([result.freedBytes, result.trash?.bytes]).toEqual([6000, 6000]);
  });

  test("a size of zero turns it off", async () => {
    const { trash } = await restart(0);
    await volumeWith("vv", "x");
    expect((await prune([VOLUMES])).trash).toBeUndefined();
    expect(trash.contents()).toEqual({ items: [], bytes: 0, maxBytes: 0 });
  });
});

test("the trash goes by itself when the disk runs low", async () => {
  const root = mkdtempSync(join(tmpdir(), "slipway-small-"));
  const execRoot = mkdtempSync(join(tmpdir(), "slipway-exec-"));
  mountTmpfs(root, { size: 100_000_000 });
  const free = () => {
    const { bavail, bsize } = statfsSync(root);
    return bavail * bsize;
  };
  try {
    const small = await openFixture({ supervisor: idleSupervisor, root, execRoot });
    const { volumes, prunes, trash } = small.engine;
    const { mountpoint } = await volumes.create({ name: "data", labels: {}, options: {} });
    writeFileSync(join(mountpoint, "file"), new Uint8Array(4e6));
    await prunes.run([VOLUMES], { trash: true });
    expect(trash.contents().items).toHaveLength(1);
    writeFileSync(join(root, "ballast"), new Uint8Array(free() - 1e6));
    while (trash.contents().items.length > 0 || free() < 4e6) await Bun.sleep(20);
    // What is pruned while there is no space is not kept, and the plan says so.
    await volumes.create({ name: "late", labels: {}, options: {} });
    writeFileSync(join(root, "more"), new Uint8Array(free() - 1e6));
    expect((await prunes.plan([VOLUMES], { trash: true })).items.map((item) => item.trash)).toEqual([undefined]);
    await small.close();
  } finally {
    unmountBelow(root);
    for (const directory of [root, execRoot]) rmSync(directory, { recursive: true });
  }
}, 30_000);

test("the plan tells the last use: of a volume its last mount, of an image its last container, though both are gone", async () => {
  const { prunes, containers, events } = fixture.engine;
  await importImage("used:1");
  await volumeWith("vv", "x");
  now += 5000;
  const { id } = await containers.create({ ...containerOf(["x"]), config: { Image: "used:1" } });
  await containers.remove(id, { force: true, volumes: true });
  now += 5000;
  events.publish({ type: "volume", action: "unmount", id: "vv", attributes: {} });
  const at = now;
  now += 5000;
  const { items } = await prunes.plan(ALL);
  const image = items.find(({ name }) => name === "used:1");
  expect(items.find(({ id: each }) => each === "vv")?.lastUsed).toBe(at);
  expect(image?.lastUsed).toBe(at - 5000);
});

/** The same engine with another bound. */
async function restart(maxBytes: number): Promise<Fixture["engine"]> {
  await fixture[Symbol.asyncDispose]();
  fixture = await openFixture({ supervisor: idleSupervisor, trash: { maxBytes }, now: () => now });
  return fixture.engine;
}
