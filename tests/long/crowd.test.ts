import { expect, test } from "bun:test";
import { Engine } from "../e2e/harness.ts";
import { crowd } from "./crowd.ts";

test("a crowd of containers is watched, outlives the daemon and is stopped at once without a lost line", async () => {
  await using engine = await Engine.start();
  const { stubbornStop, lines } = await crowd(engine, 12, 0);
  expect(lines).toBeGreaterThan(12);
  // Those that ignore the signal are waited for side by side, not one after the other.
  expect(stubbornStop).toBeLessThan(5000);
}, 60_000);
