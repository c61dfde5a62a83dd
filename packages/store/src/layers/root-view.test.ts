import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountOverlay, unmount, walkDirectory } from "@slipway/sys";
import { Random, randomLayer } from "@slipway/testkit";
import type { Layer, LayerEntry, Lease, Store } from "../faces.ts";
import { openStore } from "../open-store.ts";

let root: string;
let store: Store;
let lease: Lease;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-view-"));
  store = await openStore({ root });
  lease = store.leases.open("test");
});
afterEach(async () => {
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

const metadata = { mode: 0o755, uid: 0, gid: 0, mtime: 0n };
const dir = (path: string) => ({ kind: "dir", path, ...metadata }) as const;
const file = (path: string, text = path) =>
  ({ kind: "file", path, ...metadata, content: { from: "bytes", bytes: Buffer.from(text) } }) as const;
const link = (path: string, target: string) => ({ kind: "symlink", path, target, ...metadata }) as const;

async function stack(...layers: LayerEntry[][]): Promise<Layer> {
  let layer: Layer | undefined;
  for (const entries of layers) {
    const parent = layer === undefined ? {} : { parent: layer.chainId };
    layer = await store.layers.fromEntries({ ...parent, entries, form: "tree", lease });
  }
  if (layer === undefined) throw new Error("no layers");
  return layer;
}

test("links stay inside the root, whichever layer they lie in", async () => {
  const top = await stack(
    [dir("usr"), dir("usr/lib"), file("usr/lib/x", "x"), link("lib", "usr/lib"), link("up", "../../../../usr/lib/x")],
    [link("abs", "/lib/x"), link("circle", "circle"), link("dangling", "/nowhere/at/all")],
  );
  const view = await store.layers.view(top.chainId);
  expect(view.resolve("/abs")).toBe("/usr/lib/x");
  expect(view.resolve("/abs", false)).toBe("/abs");
  expect(view.resolve("/up")).toBe("/usr/lib/x");
  expect(view.resolve("/lib/../lib/x")).toBe("/usr/lib/x");
  expect(view.resolve("/../../etc")).toBe("/etc");
  expect(view.resolve("/dangling/more")).toBe("/nowhere/at/all/more");
  expect(new TextDecoder().decode(view.readFile("/abs"))).toBe("x");
  expect(view.readFile("/missing")).toBeUndefined();
  expect(() => view.resolve("/circle")).toThrow("too many levels of symbolic links");
  expect(view.lstat("/circle")?.kind).toBe("symlink");
  expect(view.lstat("/lib/x")?.size).toBe(1);
  expect(view.lstat("/")?.kind).toBe("dir");
});

test("a missing parent directory looks as it does below, not as a new one", async () => {
  const top = await stack([{ ...dir("srv"), mode: 0o1700, uid: 7, gid: 8 }], [file("srv/new/file")]);
  const view = await store.layers.view(top.chainId);
  expect(view.lstat("/srv")).toMatchObject({ mode: 0o1700, uid: 7, gid: 8 });
  expect(view.lstat("/srv/new")).toMatchObject({ mode: 0o755, uid: 0 });
});

test("the view of random stacks is what overlayfs shows", async () => {
  for (let seed = 100; seed < 112; seed++) {
    const random = new Random(seed);
    const top = await stack(
      ...[0, 1, 2].map(() => randomLayer(random, 80).filter(({ kind }) => kind !== "char" && kind !== "fifo")),
    );
    const view = await store.layers.view(top.chainId);
    const writable = await store.layers.prepare(top.chainId, lease);
    const { lowers, upper, work, merged } = writable;
    mountOverlay({ lowers, upper, work, target: merged, userxattr: store.userxattr });
    try {
      const expected: string[] = [];
      walkDirectory(merged, (item) => {
        // In a directory that only one layer has, overlayfs lists whiteouts, and then denies that they exist.
        if (!item.stat()) return;
        expected.push(
          `${item.path} ${item.kind} ${item.mode.toString(8)} ${item.uid} ${item.kind === "dir" ? "" : item.size}`,
        );
      });
      const seen: string[] = [];
      const visit = (path: string) => {
        for (const name of view.readdir(path === "" ? "/" : path)) {
          const entry = view.lstat(`${path}/${name}`);
          if (entry === undefined) throw new Error(`${path}/${name} is listed and not there`);
          seen.push(
            `${path}/${name} ${entry.kind} ${entry.mode.toString(8)} ${entry.uid} ${entry.kind === "dir" ? "" : entry.size}`.slice(
              1,
            ),
          );
          if (entry.kind === "dir") visit(`${path}/${name}`);
        }
      };
      visit("");
      expect({ seed, seen: seen.sort() }).toEqual({ seed, seen: expected.sort() });
    } finally {
      unmount(merged);
    }
    await store.layers.discard(writable);
  }
});
