import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorCode } from "@slipway/base";
import { type Digest, digestOf } from "@slipway/oci";
import type { Lease, Store } from "./faces.ts";
import { openStore } from "./open-store.ts";

let root: string;
let store: Store;
let lease: Lease;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-blobs-"));
  store = await openStore({ root });
  lease = store.leases.open("test");
});
afterEach(async () => {
  await store.close();
  rmSync(root, { recursive: true, force: true });
});

const codeOf = (work: PromiseLike<unknown> | unknown) => Promise.resolve(work).then(() => "none", errorCode);

test("bytes come back as they were put, by stream and whole, in sha256 and sha512", async () => {
  const bytes = Buffer.alloc(700_000, "slipway");
  for (const algorithm of ["sha256", "sha512"] as const) {
    const digest = digestOf(bytes, algorithm);
    const writer = await store.blobs.ingest({ key: digest, lease, expectedDigest: digest, expectedSize: bytes.length });
    await writer.write(bytes.subarray(0, 100));
    await writer.write(bytes.subarray(100));
    expect(await writer.commit()).toEqual({ digest, size: bytes.length });
    expect(Buffer.compare(await Bun.readableStreamToBytes(store.blobs.read(digest)), bytes)).toBe(0);
    expect(Buffer.compare(await store.blobs.readAll(digest), bytes)).toBe(0);
  }
});

test("a reader of damaged content fails at its end", async () => {
  const { digest } = await store.blobs.put(Buffer.from("good"), lease);
  writeFileSync(store.blobs.path(digest), "evil");
  expect(await codeOf(Bun.readableStreamToBytes(store.blobs.read(digest)))).toBe("corrupt");
  expect(await codeOf(store.blobs.readAll(digest))).toBe("corrupt");
  writeFileSync(store.blobs.path(digest), "goo");
  expect(await codeOf(Bun.readableStreamToBytes(store.blobs.read(digest)))).toBe("corrupt");
});

test("content with another digest or size is refused and forgotten", async () => {
  const digest = digestOf("expected");
  const wrong = await store.blobs.ingest({ key: "k", lease, expectedDigest: digest });
  await wrong.write(Buffer.from("something else"));
  expect(await codeOf(wrong.commit())).toBe("corrupt");
  const long = await store.blobs.ingest({ key: "k", lease, expectedDigest: digest, expectedSize: 8 });
  expect(long.offset).toBe(0);
  expect(await codeOf(long.write(Buffer.from("too many bytes")))).toBe("corrupt");
  const short = await store.blobs.ingest({ key: "k", lease, expectedDigest: digest, expectedSize: 8 });
  await short.write(Buffer.from("few"));
  expect(await codeOf(short.commit())).toBe("corrupt");
  expect(readdirSync(store.paths.ingest)).toEqual([]);
  expect(store.blobs.stat(digest)).toBeUndefined();
});

test("an ingest goes on where it was suspended, and has one writer at a time", async () => {
  const digest = digestOf("first second");
  const first = await store.blobs.ingest({ key: digest, lease, expectedDigest: digest });
  await first.write(Buffer.from("first "));
  expect(await codeOf(store.blobs.ingest({ key: digest, lease }))).toBe("conflict");
  await first.suspend();
  const second = await store.blobs.ingest({ key: digest, lease, expectedDigest: digest });
  expect(second.offset).toBe(6);
  await second.write(Buffer.from("second"));
  expect((await second.commit()).digest).toBe(digest);
});

test("a document that is too large is not read into memory", async () => {
  const { digest } = await store.blobs.put(Buffer.alloc(1000), lease);
  expect(await codeOf(store.blobs.readAll(digest, 999))).toBe("exhausted");
  expect(await codeOf(store.blobs.readAll(`sha256:${"0".repeat(64)}` as Digest))).toBe("not-found");
});

test("a lease that has ended holds nothing and can be given to nobody", async () => {
  const { digest } = await store.blobs.put(Buffer.from("short-lived"), lease);
  await store.collect();
  expect(store.blobs.stat(digest)).toBeDefined();
  lease.release();
  lease.release();
  await store.collect();
  expect(store.blobs.stat(digest)).toBeUndefined();
  expect(await codeOf(store.blobs.put(Buffer.from("x"), lease))).toBe("conflict");
});
