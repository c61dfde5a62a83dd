import { expect, test } from "bun:test";
import { killRounds } from "./kill-rounds.ts";

test("kill -9 of daemon, supervisor and both in the middle of everything leaves an engine in which all agrees", async () => {
  const { rounds } = await killRounds({ rounds: 6, seed: 6, say: () => {} });
  expect(rounds).toBe(6);
}, 180_000);
