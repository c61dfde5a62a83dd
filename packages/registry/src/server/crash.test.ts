import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegistryStorage } from "./storage/open.ts";
import { pushWhileKilled } from "./testing/replicas.ts";

test("a registry on files, killed in the middle of pushes and collections, loses no acknowledged push and shows no half one", async () => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-registry-crash-"));
  try {
    await pushWhileKilled({ place: folder, replicas: 1, kills: 5 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);

test("two registries do not serve one folder", async () => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-registry-lock-"));
  try {
    const storage = await openRegistryStorage(folder, { exclusive: true });
    await expect(openRegistryStorage(folder, { exclusive: true })).rejects.toMatchObject({ code: "conflict" });
    const beside = await openRegistryStorage(folder);
    await beside.close();
    await storage.close();
    await (await openRegistryStorage(folder, { exclusive: true })).close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 20_000);
