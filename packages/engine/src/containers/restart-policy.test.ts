import { expect, test } from "bun:test";
import {
  type EndedRun,
  endsUnhealthy,
  readRestartPolicy,
  restartDelay,
  restartsAfter,
  startsWithEngine,
} from "./restart-policy.ts";

const policy = (Name: string, MaximumRetryCount = 0) => readRestartPolicy({ Name, MaximumRetryCount });
const run = (over: Partial<EndedRun> = {}): EndedRun => ({
  ...{ exitCode: 0, manuallyStopped: false, restartCount: 0 },
  ...over,
});

test.each<[string, number, Partial<EndedRun>, boolean]>([
  ["no", 0, { exitCode: 1 }, false],
  ["always", 0, {}, true],
  ["unless-stopped", 0, {}, true],
  ["always", 0, { manuallyStopped: true }, false],
  ["on-failure", 0, {}, false],
  ["on-failure", 0, { exitCode: 1, restartCount: 100 }, true],
  ["on-failure", 2, { exitCode: 1, restartCount: 1 }, true],
  ["on-failure", 2, { exitCode: 1, restartCount: 2 }, false],
  ["on-failure", 0, { unhealthy: true }, false],
  ["on-unhealthy", 0, {}, false],
  ["on-unhealthy", 0, { unhealthy: true }, true],
  ["on-unhealthy", 0, { exitCode: 1 }, true],
  ["on-unhealthy", 2, { unhealthy: true, restartCount: 2 }, false],
  ["on-unhealthy", 0, { unhealthy: true, manuallyStopped: true }, false],
])("%s:%i after %j starts again: %p", (name, most, ended, again) => {
  expect(restartsAfter(policy(name, most), run(ended))).toBe(again);
});

test("only always forgets with the engine's start that a container was stopped by hand", () => {
  const stopped = run({ manuallyStopped: true });
  expect(startsWithEngine(policy("always"), stopped)).toBe(true);
  expect(startsWithEngine(policy("unless-stopped"), stopped)).toBe(false);
  expect(startsWithEngine(policy("on-failure"), run({ exitCode: 1, manuallyStopped: true }))).toBe(false);
});

test("an unhealthy container is ended only for the policy that starts it again, and while it may", () => {
  const alive = { manuallyStopped: false, restartCount: 1 };
  expect(endsUnhealthy(policy("on-unhealthy"), alive)).toBe(true);
  expect(endsUnhealthy(policy("on-unhealthy", 1), alive)).toBe(false);
  expect(endsUnhealthy(policy("always"), alive)).toBe(false);
});

test("the delay doubles from 100 ms to a minute, and begins anew after ten seconds of life", () => {
  expect(restartDelay(undefined, 0)).toBe(100);
  expect(restartDelay(100, 50)).toBe(200);
  expect(restartDelay(51_200, 50)).toBe(60_000);
  expect(restartDelay(60_000, 10_000)).toBe(100);
});

test.each([
  [{ Name: "sometimes" }, "unknown policy 'sometimes'"],
  [{ Name: "always", MaximumRetryCount: 1 }, "maximum retry count can only be used with 'on-failure'"],
  [{ Name: "on-failure", MaximumRetryCount: -1 }, "maximum retry count cannot be negative"],
])("%j is no policy", (given, message) => {
  expect(() => readRestartPolicy(given)).toThrow(message);
});
