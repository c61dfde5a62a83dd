import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { registryStorageSuite } from "@slipway/testkit";
import { openRegistryStorage } from "./open.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-registry-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

registryStorageSuite("a folder", () => openRegistryStorage(folder));
