import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unmountBelow } from "@slipway/sys";
import { STORE_CRASH_CHILD } from "@slipway/testkit";
import { checkInvariants } from "./invariants.ts";
import { openStore } from "./open-store.ts";

/** More with SLIPWAY_CRASH_RUNS. */
const RUNS = Number(process.env.SLIPWAY_CRASH_RUNS ?? 8);

test(
  "whenever the process is killed, the next one finds a whole store",
  async () => {
    const root = mkdtempSync(join(tmpdir(), "slipway-crash-"));
    try {
      for (let seed = 1; seed <= RUNS; seed++) {
        await runAndKill(root, seed);
        const store = await openStore({ root });
        expect({ seed, problems: await checkInvariants(store) }).toEqual({ seed, problems: [] });
        for (const writable of store.layers.writables()) await store.layers.discard(writable);
        // What is pruned stays whole whatever is collected around it, until it is dropped.
        await store.collect();
        store.restorables.recover(() => false);
        expect({ seed, problems: await checkInvariants(store) }).toEqual({ seed, problems: [] });
        const pruned = store.restorables.list().map(({ id }) => id);
        if (seed % 2 === 0) store.restorables.drop(pruned);
        else for (const id of pruned) store.restorables.restoreImage(id);
        for (const image of store.images.list()) if (seed % 3 === 0) store.images.remove(image.id);
        await store.collect();
        expect({ seed, problems: await checkInvariants(store) }).toEqual({ seed, problems: [] });
        await store.close();
      }
    } finally {
      unmountBelow(root);
      rmSync(root, { recursive: true, force: true });
    }
  },
  RUNS * 10_000,
);

/** Kills the child at a moment that depends on the seed alone, so far as moments can. */
async function runAndKill(root: string, seed: number): Promise<void> {
  const child = Bun.spawn([process.execPath, STORE_CRASH_CHILD, root, String(seed)], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  await Bun.sleep((seed * 137) % 700);
  const died = child.exitCode;
  child.kill("SIGKILL");
  await child.exited;
  if (died !== null) throw new Error(`the child ended by itself: ${await new Response(child.stderr).text()}`);
}
