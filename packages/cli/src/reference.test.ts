import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commandReference } from "./reference.ts";

test("docs/commands.md is what the command table says; if not: bun scripts/write-reference.ts", async () => {
  const written = readFileSync(join(import.meta.dir, "../../../docs/commands.md"), "utf8");
  expect(written === (await commandReference())).toBe(true);
});

test("the reference has each command once, and all of its options", async () => {
  const headings = (await commandReference()).match(/^## slipway .*$/gm) ?? [];
  expect(new Set(headings).size).toBe(headings.length);
  for (const name of ["run", "ps", "image diff", "network create", "system prune", "context use"]) {
    expect(headings).toContain(`## slipway ${name}`);
  }
});
