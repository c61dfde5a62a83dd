import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { HOSTILE_ARCHIVES, HOSTILE_LAYERS } from "@slipway/testkit";
import type { Store } from "./faces.ts";
import { checkInvariants } from "./invariants.ts";
import { openStore } from "./open-store.ts";

let root: string;
let store: Store;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-hostile-"));
  store = await openStore({ root: join(root, "data") });
});
afterEach(async () => {
  expect(existsSync("/tmp/slipway-escaped")).toBe(false);
  expect(readdirSync(root)).toEqual(["data"]);
  const problems = await checkInvariants(store);
  await store.close();
  rmSync(root, { recursive: true, force: true });
  expect(problems).toEqual([]);
});

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

for (const { name, tar, complaint } of HOSTILE_LAYERS) {
  test(`a hostile layer: ${name}`, async () => {
    const lease = store.leases.open("hostile");
    const { digest } = await store.blobs.put(tar(), lease);
    const made = (async () => {
      const layer = await store.layers.fromTar({ blob: digest, lease });
      await store.layers.lowers(layer.chainId);
    })();
    const failure = await failureOf(made);
    if (complaint === undefined) expect(failure).toBeUndefined();
    else expect(String((failure as Error | undefined)?.message)).toMatch(complaint);
    lease.release();
    await store.collect();
  });
}

for (const { name, tar, complaint } of HOSTILE_ARCHIVES) {
  test(`a hostile archive: ${name}`, async () => {
    const failure = await failureOf(store.images.load(new Blob([tar() as Uint8Array<ArrayBuffer>]).stream()));
    expect(failure).toBeInstanceOf(SlipwayError);
    expect((failure as SlipwayError).message).toMatch(complaint);
    expect((failure as SlipwayError).code).not.toBe("internal");
    expect(store.images.list()).toEqual([]);
  });
}
