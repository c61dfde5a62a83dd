import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashRing } from "./hash-ring.ts";
import { hashTree } from "./jobs.ts";
import { WorkerPool } from "./worker-pool.ts";

let root: string;
const pool = new WorkerPool();

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "slipway-ring-"));
  for (let n = 0; n < 40; n++) {
    mkdirSync(join(root, `d${n}`));
    // From nothing to several slots, also exactly one.
    for (const size of [0, 1, 511, 512, 70_000, 1024 * 1024, 1024 * 1024 + n]) {
      if (size < 1_000_000 || n < 12) writeFileSync(join(root, `d${n}/f${size}`), Buffer.alloc(size, n));
    }
  }
});
afterAll(() => {
  pool.close();
  rmSync(root, { recursive: true, force: true });
});

test("two threads make the hash that one makes", async () => {
  const job = { op: "hash-tree", root, userxattr: false } as const;
  const alone = hashTree(job, () => {});
  expect(alone.tarSize).toBeGreaterThan(16 * 1024 * 1024);
  expect(await pool.hashTree(job)).toEqual(alone);
  const many = await Promise.all(Array.from({ length: 9 }, () => pool.hashTree(job)));
  for (const made of many) expect(made).toEqual(alone);
});

test("an empty tree has the hash of an empty tar", async () => {
  const empty = join(root, "d0/empty");
  mkdirSync(empty);
  const made = await pool.hashTree({ op: "hash-tree", root: empty, userxattr: false });
  expect<string>(made.diffId).toBe(`sha256:${createHash("sha256").update(Buffer.alloc(1024)).digest("hex")}`);
  rmSync(empty, { recursive: true });
});

test("a failure and a cancellation end both threads", async () => {
  const absent = { op: "hash-tree", root: join(root, "absent"), userxattr: false } as const;
  await expect(pool.hashTree(absent)).rejects.toThrow("absent");
  const controller = new AbortController();
  const job = { op: "hash-tree", root, userxattr: false } as const;
  const hashing = pool.hashTree(job, controller.signal);
  controller.abort(new Error("stopped by the test"));
  await expect(hashing).rejects.toThrow("stopped by the test");
  // All seats are free again: more jobs than there are threads come to an end.
  await Promise.all(Array.from({ length: 6 }, () => pool.hashTree(job)));
  // One that nobody feeds waits until it is told to stop.
  const alone = new AbortController();
  const ring = pool.run({ op: "hash-ring", ring: hashRing() }, alone.signal);
  setTimeout(() => alone.abort(new Error("stopped alone")), 10);
  expect(String(await ring.catch((error: unknown) => error))).toContain("stopped alone");
});
