import { afterAll, beforeAll, expect, test } from "bun:test";
import { lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random, randomLayer } from "@slipway/testkit";
import type { LayerEntry, Store } from "../faces.ts";
import { checkInvariants } from "../invariants.ts";
import { openStore } from "../open-store.ts";
import { normalizeEntries } from "./layer-entries.ts";
import { scanTree } from "./tree-scan.ts";

/** More with SLIPWAY_PROPERTY_RUNS. */
const RUNS = Number(process.env.SLIPWAY_PROPERTY_RUNS ?? 25);

let roots: string[];
let trees: Store;
let tars: Store;
beforeAll(async () => {
  roots = [0, 1].map(() => mkdtempSync(join(tmpdir(), "slipway-property-")));
  trees = await openStore({ root: roots[0] ?? "" });
  tars = await openStore({ root: roots[1] ?? "" });
});
afterAll(async () => {
  expect(await checkInvariants(trees)).toEqual([]);
  expect(await checkInvariants(tars)).toEqual([]);
  await trees.close();
  await tars.close();
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

/** What a tree holds, in a form that compares well: content by digest, times as text. */
function described(entries: readonly LayerEntry[]): unknown[] {
  return entries.map((entry) => {
    if (entry.kind === "whiteout") return entry;
    const { mtime, xattrs, ...rest } = entry;
    const content = entry.kind === "file" ? { content: contentDigest(entry) } : {};
    const attributes =
      entry.kind === "link"
        ? []
        : [...(xattrs ?? [])].map(([name, value]) => [name, Buffer.from(value).toString("hex")]).sort();
    return { ...rest, ...content, mtime: String(mtime), attributes };
  });
}

function contentDigest({ content }: Extract<LayerEntry, { kind: "file" }>): string {
  const bytes =
    content.from === "bytes" ? content.bytes : new Uint8Array(readFileSync("path" in content ? content.path : ""));
  return Bun.SHA256.hash(bytes, "hex");
}

test("a random tree and its tar are the same layer, and each gives back the other", async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const entries = randomLayer(new Random(seed), 20 + (seed % 5) * 60);
    const lease = trees.leases.open("property");
    const other = tars.leases.open("property");
    const tree = await trees.layers.fromEntries({ entries, form: "tree", lease });
    const tar = await tars.layers.fromEntries({ entries, form: "tar", lease: other });
    expect([seed, tar.diffId, tar.size, tar.tarSize]).toEqual([seed, tree.diffId, tree.size, tree.tarSize]);

    const [first = ""] = await trees.layers.lowers(tree.chainId);
    const [second = ""] = await tars.layers.lowers(tar.chainId);
    const expected = described(normalizeEntries(entries, () => undefined));
    expect(described(scanTree(first, { userxattr: trees.userxattr }))).toEqual(expected);
    expect(described(scanTree(second, { userxattr: tars.userxattr }))).toEqual(expected);

    const bytes = await Bun.readableStreamToBytes((await trees.layers.openTar(tree.chainId)).stream);
    expect((await trees.blobs.put(bytes, lease)).digest as string).toBe(tar.diffId);
    lease.release();
    other.release();
  }
});

test("files of one tree are shared with another, but two names of one file stay two files", async () => {
  const lease = trees.leases.open("share");
  const metadata = { mode: 0o640, uid: 5, gid: 6, mtime: 1_700_000_000_000_000_007n };
  const entry = {
    kind: "file",
    path: "a",
    ...metadata,
    content: { from: "bytes", bytes: Buffer.from("shared") },
  } as const;
  const source = await trees.layers.fromEntries({ entries: [entry], form: "tree", lease });
  const [tree = ""] = await trees.layers.lowers(source.chainId);
  const content = { from: "tree", path: `${tree}/a`, size: 6 } as const;
  const copy = await trees.layers.fromEntries({
    entries: ["x", "y"].map((path) => ({ kind: "file", path, ...metadata, content })),
    form: "tree",
    lease,
  });
  const [copied = ""] = await trees.layers.lowers(copy.chainId);
  const inode = (path: string) => lstatSync(path).ino;
  expect(inode(`${copied}/x`)).toBe(inode(`${tree}/a`));
  expect(inode(`${copied}/y`)).not.toBe(inode(`${tree}/a`));
  expect(scanTree(copied, { userxattr: trees.userxattr }).map(({ kind }) => kind)).toEqual(["file", "file"]);
  lease.release();
});
