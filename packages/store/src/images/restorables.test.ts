import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { baseImageArchive } from "@slipway/testkit";
import type { Store } from "../faces.ts";
import { checkInvariants } from "../invariants.ts";
import { openStore } from "../open-store.ts";

const STAMP = { batch: "b", takenAt: 1, until: 2 };
const NOBODY = { images: new Set<never>(), writables: new Set<string>(), roots: new Map() };

let root: string;
let store: Store;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-restorables-"));
  store = await openStore({ root });
});
afterEach(async () => {
  await store.close();
  rmSync(root, { recursive: true });
});

const load = (name: string) =>
  store.images.load(new Blob([baseImageArchive(name) as Uint8Array<ArrayBuffer>]).stream());

test("what a taken image holds is not collected, and the collector says why", async () => {
  const [loaded] = await load("app:1");
  if (loaded === undefined) throw new Error("nothing was loaded");
  const usage = store.usage();
  const { id } = store.restorables.takeImage(loaded.image.id, { ...STAMP, until: Date.UTC(2030, 0, 1) });
  expect(store.images.list()).toEqual([]);
  expect((await store.collect()).removed).toEqual([]);
  expect(store.usage()).toEqual(usage);
  const { kept } = await store.collect({ plan: true });
  expect(kept.flatMap(({ reasons }) => reasons)).toContain(
    "trash: pruned image docker.io/library/app:1, kept until 2030-01-01T00:00:00.000Z",
  );
  const [bytes] = store.restorables.weigh(store.restorables.list(), NOBODY);
  expect(await checkInvariants(store)).toEqual([]);
  store.restorables.drop([id]);
  expect((await store.collect()).freedBytes).toBe(bytes ?? 0);
  expect(store.usage()).toEqual({ layerBytes: 0, blobBytes: 0 });
});

test("what two images share weighs once, for the first of them; what a third has too weighs nothing", async () => {
  const images = [];
  for (const name of ["one:1", "two:1", "three:1"]) {
    const [loaded] = await load("base:1");
    if (loaded === undefined) throw new Error("nothing was loaded");
    await using lease = store.leases.open("test");
    const config = { ...loaded.image.config, author: name };
    images.push(await store.images.put({ config, names: [], lease }));
    store.images.remove(loaded.image.id);
  }
  const [one, two] = images;
  if (one === undefined || two === undefined) throw new Error("no images");
  for (const { id } of [one, two]) store.restorables.takeImage(id, STAMP);
  const [first = 0, second = 0] = store.restorables.weigh(store.restorables.list(), NOBODY);
  // Configurations and manifests are each image's own.
  expect([first < 10_000, second < 10_000]).toEqual([true, true]);
  const alone = store.restorables.weigh(store.restorables.list(), {
    ...NOBODY,
    images: new Set(images.map(({ id }) => id)),
  });
  expect(alone[0]).toBeGreaterThan(100_000);
  expect(alone[1]).toBe(second);
});

test("a restored image is the one that was taken, with the names that are free", async () => {
  const [loaded] = await load("app:1");
  if (loaded === undefined) throw new Error("nothing was loaded");
  const before = store.images.get(loaded.image.id);
  const { id } = store.restorables.takeImage(loaded.image.id, STAMP);
  const restored = store.restorables.restoreImage(id);
  expect(restored.taken).toEqual([]);
  expect(store.images.get(loaded.image.id)).toEqual(before as NonNullable<typeof before>);
  expect(store.restorables.list()).toEqual([]);
  expect(() => store.restorables.restoreImage(id)).toThrow("nothing pruned has the ID");
});

test("content that was lost meanwhile is told, and forgotten at the next start", async () => {
  const [loaded] = await load("app:1");
  if (loaded === undefined) throw new Error("nothing was loaded");
  const { id } = store.restorables.takeImage(loaded.image.id, STAMP);
  rmSync(store.blobs.path(loaded.image.manifestDigest));
  await store.close();
  store = await openStore({ root });
  expect(() => store.restorables.restoreImage(id)).toThrow("was lost");
  store.restorables.recover(() => false);
  expect(store.restorables.list()).toEqual([]);
});

/** A volume of a package that keeps no rows of its own. */
function takeVolume(name: string): string {
  mkdirSync(join(store.paths.volumes, name, "_data"), { recursive: true });
  writeFileSync(join(store.paths.volumes, name, "_data/file"), name);
  return store.restorables.takeVolume({ name, bytes: 4, record: "{}", forget: () => {} }, STAMP).id;
}
const ROWS = { remember: () => {}, forget: () => {} };

test("a taken volume's directory moves, and what fails leaves it where it was", () => {
  const id = takeVolume("data");
  expect(readdirSync(store.paths.volumes)).toEqual([]);
  const refuse = () => {
    throw new Error("no");
  };
  expect(() => store.restorables.restoreVolume(id, "data", { ...ROWS, remember: refuse })).toThrow("no");
  mkdirSync(join(store.paths.volumes, "data/_data"), { recursive: true });
  expect(() => store.restorables.restoreVolume(id, "data", ROWS)).toThrow("ENOTEMPTY");
  expect(store.restorables.list().map(({ name }) => name)).toEqual(["data"]);
  store.restorables.restoreVolume(id, "other", ROWS);
  expect(readdirSync(join(store.paths.volumes, "other/_data"))).toEqual(["file"]);
  expect(readdirSync(store.paths.restorable)).toEqual([]);
  expect(() => store.restorables.takeVolume({ name: "nope", bytes: 0, record: "", forget: () => {} }, STAMP)).toThrow(
    "ENOENT",
  );
  expect(store.restorables.list()).toEqual([]);
});

test("a power cut that lost either half of a move is mended by the other", () => {
  const { restorables, paths, database } = store;
  // The rename was lost.
  const lost = takeVolume("lost");
  restorables.restoreVolume(lost, "lost", ROWS);
  const kept = takeVolume("kept");
  database.query("UPDATE restorables SET id = 'x' WHERE id = ?").run(kept);
  restorables.recover(() => false);
  // Its directory had no row and went back; the row found it there.
  expect(readdirSync(paths.restorable)).toEqual(["x"]);
  expect(existsSync(join(paths.restorable, "x/kept/_data/file"))).toBe(true);
  expect(readdirSync(paths.volumes)).toEqual(["lost"]);
  // The row was lost, and the name is another volume's.
  database.run("DELETE FROM restorables");
  mkdirSync(join(paths.volumes, "kept/_data"), { recursive: true });
  restorables.recover(() => true);
  expect(readdirSync(paths.volumes).sort()).toEqual(["kept", "kept-x", "lost"]);
});
