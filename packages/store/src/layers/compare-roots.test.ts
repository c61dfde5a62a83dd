import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChainId } from "@slipway/oci";
import type { LayerEntry, Lease, RootChange, Store } from "../faces.ts";
import { openStore } from "../open-store.ts";

let root: string;
let store: Store;
let lease: Lease;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-compare-"));
  store = await openStore({ root });
  lease = store.leases.open("test");
});
afterEach(async () => {
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

const metadata = { mode: 0o755, uid: 0, gid: 0, mtime: 0n };
const dir = (path: string) => ({ kind: "dir", path, ...metadata }) as const;
const file = (path: string, text: string, more: object = {}) =>
  ({ kind: "file", path, ...metadata, ...more, content: { from: "bytes", bytes: Buffer.from(text) } }) as const;
const link = (path: string, target: string) => ({ kind: "symlink", path, target, ...metadata }) as const;
const gone = (path: string) => ({ kind: "whiteout", path }) as const;

async function on(parent: ChainId | undefined, entries: readonly LayerEntry[]): Promise<ChainId> {
  const layer = await store.layers.fromEntries({
    ...(parent && { parent }),
    entries: [...entries],
    form: "tree",
    lease,
  });
  return layer.chainId;
}

/** `added /x`, with what changed of it. */
async function differences(before: ChainId | undefined, after: ChainId | undefined): Promise<string[]> {
  const changes: RootChange[] = [];
  for await (const change of store.layers.compare(before, after)) changes.push(change);
  return changes.map(({ kind, path, what }) => [kind, path, ...what].join(" "));
}

test("files that were added, changed and removed are told, with what changed of them", async () => {
  const base = await on(undefined, [
    dir("a"),
    file("a/same", "s"),
    file("a/text", "old"),
    file("a/old", "x"),
    link("l", "a"),
  ]);
  const top = await on(base, [
    file("a/text", "new"),
    file("a/same", "s", { mtime: 5n }),
    gone("a/old"),
    dir("b"),
    file("b/new", "n"),
    link("l", "b"),
  ]);
  expect(await differences(base, top)).toEqual([
    "removed /a/old",
    "changed /a/text content",
    "added /b",
    "added /b/new",
    "changed /l content",
  ]);
});

test("mode and owner are sides of their own, and another kind hides the rest", async () => {
  const one = await on(undefined, [dir("d"), file("d/in", "1"), file("f", "1"), file("m", "1")]);
  const two = await on(undefined, [
    file("d", "now a file"),
    file("f", "1", { uid: 7 }),
    file("m", "1", { mode: 0o600 }),
  ]);
  expect(await differences(one, two)).toEqual([
    "changed /d kind",
    "removed /d/in",
    "changed /f owner",
    "changed /m mode",
  ]);
});

test("a directory that was made anew is compared file by file, and equal images differ in nothing", async () => {
  const base = await on(undefined, [dir("d"), file("d/one", "1"), file("d/two", "2")]);
  const top = await on(base, [{ ...dir("d"), opaque: true }, file("d/two", "2")]);
  expect(await differences(base, top)).toEqual(["removed /d/one"]);
  expect(await differences(top, top)).toEqual([]);
  expect(await differences(undefined, base)).toEqual(["added /d", "added /d/one", "added /d/two"]);
});
