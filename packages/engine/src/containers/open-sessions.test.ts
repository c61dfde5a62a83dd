import { expect, test } from "bun:test";
import type { StdioSession } from "@slipway/runtime";
import { OpenSessions } from "./open-sessions.ts";

function session(output: AsyncIterable<{ stream: "stdout"; data: Uint8Array }>): StdioSession {
  return { output, write: async () => {}, closeStdin: () => {}, detach: () => {} };
}

async function* words(...texts: string[]) {
  for (const text of texts) yield { stream: "stdout" as const, data: Buffer.from(text) };
}

/** Whether it has resolved once everything that can happen now has happened. */
async function resolvesNow(promise: Promise<void>): Promise<boolean> {
  let resolved = false;
  void promise.then(() => {
    resolved = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return resolved;
}

test("an end waits for those who are attached to take the last word and let go", async () => {
  const sessions = new OpenSessions();
  const watched = sessions.watch("a", session(words("one", "two")));
  const reader = watched.output[Symbol.asyncIterator]();
  await reader.next();
  const drained = sessions.drained("a");
  await reader.next();
  expect(await resolvesNow(drained)).toBe(false);
  expect((await reader.next()).done).toBe(true);
  // It is written, but not yet read by the client.
  expect(await resolvesNow(drained)).toBe(false);
  watched.detach();
  expect(await resolvesNow(drained)).toBe(true);
});

test("who left, and who is attached to another container, is not waited for", async () => {
  const sessions = new OpenSessions();
  sessions.watch("other", session(words("x")));
  sessions.watch("a", session(words("x"))).detach();
  expect(await resolvesNow(sessions.drained("a"))).toBe(true);
});

test("who does not read is waited for no longer than two seconds", async () => {
  const sessions = new OpenSessions();
  sessions.watch("a", session(words("x")));
  const began = performance.now();
  await sessions.drained("a");
  expect(performance.now() - began).toBeWithin(1900, 4000);
});
