import { expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { flock } from "@slipway/sys";
import { Trial } from "./trial.fixture.ts";

/** Processes that were started for this exec root. */
function supervisorsOf(execRoot: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const command = /^\d+$/.test(name) ? readFileSync(`/proc/${name}/cmdline`, "latin1") : "";
      return command.split("\0").includes(execRoot) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

test("the supervisor ends also when its directory was removed", async () => {
  const trial = new Trial();
  await trial.client.prepare();
  expect(supervisorsOf(trial.execRoot)).not.toEqual([]);
  await trial.client.close();
  rmSync(trial.execRoot, { recursive: true });
  const deadline = AbortSignal.timeout(3_000);
  while (supervisorsOf(trial.execRoot).length > 0 && !deadline.aborted) await Bun.sleep(20);
  expect(supervisorsOf(trial.execRoot)).toEqual([]);
  await trial[Symbol.asyncDispose]();
});

test("the supervisor of a daemon that was connected for long ends within a second of it", async () => {
  const trial = new Trial();
  await trial.client.prepare();
  // By now its next look at whether anybody needs it is seconds away.
  await Bun.sleep(1_000);
  await trial.client.close();
  const deadline = AbortSignal.timeout(1_000);
  while (supervisorsOf(trial.execRoot).length > 0 && !deadline.aborted) await Bun.sleep(20);
  expect(supervisorsOf(trial.execRoot)).toEqual([]);
  await trial[Symbol.asyncDispose]();
});

test("a supervisor is there soon although an idle one was still about to end when it was asked for", async () => {
  const trial = new Trial();
  const directory = join(trial.execRoot, "supervisor");
  mkdirSync(directory, { recursive: true });
  // What is left of the other one: it has taken its socket away and is not gone yet.
  const lock = openSync(join(directory, "lock"), "w");
  flock(lock);
  const prepared = trial.client.prepare();
  // The first that is started for us finds the lock taken and ends.
  while (supervisorsOf(trial.execRoot).length === 0) await Bun.sleep(1);
  while (supervisorsOf(trial.execRoot).length > 0) await Bun.sleep(1);
  closeSync(lock);
  const began = performance.now();
  await prepared;
  expect(performance.now() - began).toBeLessThan(3_000);
  await trial[Symbol.asyncDispose]();
}, 20_000);
