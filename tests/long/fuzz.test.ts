import { expect, test } from "bun:test";
import { fuzz } from "./fuzz.ts";

test("twenty seconds of hostile requests break nothing and change nothing outside the containers", async () => {
  const { requests } = await fuzz({ seconds: 20, seed: 3 });
  expect(requests).toBeGreaterThan(50);
}, 120_000);
