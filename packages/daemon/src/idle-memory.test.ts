import { expect, test } from "bun:test";
import { collectWhenIdle } from "./idle-memory.ts";

test("memory is given back once after work, not again while nothing happens", async () => {
  let collections = 0;
  const first = Promise.withResolvers<void>();
  const stop = collectWhenIdle(() => {
    collections++;
    first.resolve();
  });
  try {
    const kept = setInterval(() => {}, 100); // The watch alone keeps no process alive.
    await first.promise;
    await Bun.sleep(2100); // Two more looks.
    clearInterval(kept);
    expect(collections).toBe(1);
  } finally {
    stop();
  }
});
