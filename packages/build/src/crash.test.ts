import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mounts } from "@slipway/sys";
import { Random } from "@slipway/testkit";
import { BuildCache } from "./cache.ts";
import { BASE, Testbed } from "./testbed.test.ts";

const ROUNDS = 8;

/** Everything that must hold, whatever moment the last process was killed at. */
async function check(bed: Testbed): Promise<void> {
  expect(bed.mounted()).toEqual([]);
  expect(readdirSync(join(bed.root, "exec/build"))).toEqual([]);
  for (const record of new BuildCache(bed.store.database).all()) {
    if (record.chainId === undefined) continue;
    // What a record names can be mounted: its trees are there or can be made.
    expect(bed.store.layers.get(record.chainId)).toBeDefined();
    await bed.store.layers.lowers(record.chainId);
  }
  const context = bed.directory("after", { x: "x" });
  const built = await bed.build(context, `FROM ${BASE}\nCOPY x /x\nRUN cat /x ; echo ${Math.random()}\n`);
  expect(built.output).toStartWith("x");
}

test("kill -9 at any moment leaves no mount, no half record, and a builder that works", async () => {
  const root = mkdtempSync(join(tmpdir(), "slipway-build-crash-"));
  const random = new Random(20261121);
  let bed: Testbed | undefined;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const child = Bun.spawn([process.execPath, join(import.meta.dir, "crash-child.test.ts"), root], {
        stdout: "pipe",
        stderr: "inherit",
      });
      const reader = child.stdout.getReader();
      await reader.read();
      await Bun.sleep(20 + random.below(400));
      child.kill("SIGKILL");
      await child.exited;
      bed = await Testbed.open(root);
      await check(bed);
      await bed.close(round === ROUNDS - 1);
    }
  } finally {
    expect(mounts().filter(({ target }) => target.startsWith(root))).toEqual([]);
  }
}, 60_000);
