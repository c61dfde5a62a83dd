import { expect, test } from "bun:test";
import { releaseCodePages } from "./code-pages.ts";

test("the executable's pages are let go and come back when they are needed", () => {
  expect(releaseCodePages()).toBeGreaterThan(5_000_000);
  // Goes on working: another part of the runtime than the one that did it.
  expect(Bun.gzipSync(new Uint8Array(100_000)).length).toBeLessThan(1000);
  // What came back since the first time is little.
  expect(releaseCodePages()).toBeLessThan(30_000_000);
});
