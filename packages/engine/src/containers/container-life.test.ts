import { expect, test } from "bun:test";
import { isError } from "@slipway/base";
import type { ContainerState, ContainerStatus } from "../faces.ts";
import { INITIAL_STATE, isAlive, type LifeEvent, next } from "./container-life.ts";

const STATUSES: readonly ContainerStatus[] = [
  "created",
  "running",
  "paused",
  "restarting",
  "removing",
  "exited",
  "dead",
];

const EVENTS: Readonly<Record<string, LifeEvent>> = {
  started: { kind: "started", pid: 7, at: 2000, fresh: true },
  "started again": { kind: "started", pid: 7, at: 2000, fresh: false },
  "start-failed": { kind: "start-failed", exitCode: 127, error: "no such file", at: 2000 },
  paused: { kind: "paused" },
  resumed: { kind: "resumed" },
  exited: { kind: "exited", exitCode: 3, oomKilled: true, at: 2000, again: false },
  "exited, again": { kind: "exited", exitCode: 3, oomKilled: false, at: 2000, again: true },
  "restart-cancelled": { kind: "restart-cancelled" },
  "removal-requested": { kind: "removal-requested" },
  "removal-failed": { kind: "removal-failed", error: "busy" },
};

/** Everything that is allowed; what is not listed must be refused. */
const ALLOWED: Readonly<Record<string, Partial<Record<ContainerStatus, ContainerStatus>>>> = {
  started: { created: "running", exited: "running", restarting: "running" },
  "started again": { created: "running", exited: "running", restarting: "running" },
  "start-failed": { created: "created", exited: "exited", restarting: "exited" },
  paused: { running: "paused" },
  resumed: { paused: "running" },
  exited: { running: "exited", paused: "exited" },
  "exited, again": { running: "restarting", paused: "restarting" },
  "restart-cancelled": { restarting: "exited" },
  "removal-requested": { created: "removing", exited: "removing", dead: "removing" },
  "removal-failed": { removing: "dead" },
};

function stateOf(status: ContainerStatus): ContainerState {
  return { ...INITIAL_STATE, status, pid: isAlive(status) ? 5 : 0, restartCount: 2, startedAt: 1000 };
}

for (const [name, event] of Object.entries(EVENTS)) {
  for (const status of STATUSES) {
    const expected = ALLOWED[name]?.[status];
    if (expected === undefined) {
      test(`'${name}' is refused while ${status}`, () => {
        const code = name.startsWith("started") && status === "running" ? "not-modified" : "conflict";
        let thrown: unknown;
        try {
          next(stateOf(status), event);
        } catch (error) {
          thrown = error;
        }
        expect(isError(thrown, code)).toBe(true);
      });
    } else {
      test(`'${name}' turns ${status} into ${expected}`, () => {
        const before = stateOf(status);
        const after = next(before, event);
        expect(after.status).toBe(expected);
        expect(after.pid > 0).toBe(isAlive(expected));
        expect(before).toEqual(stateOf(status));
      });
    }
  }
}

test("a start that the user asked for begins the restart count anew, one of the policy adds to it", () => {
  const state = stateOf("restarting");
  expect(next(state, EVENTS.started as LifeEvent).restartCount).toBe(0);
  expect(next(state, EVENTS["started again"] as LifeEvent).restartCount).toBe(3);
});

test("an exit keeps its code, its time and whether memory ran out", () => {
  expect(next(stateOf("running"), EVENTS.exited as LifeEvent)).toMatchObject({
    exitCode: 3,
    oomKilled: true,
    finishedAt: 2000,
    pid: 0,
  });
});

test("a start clears what the run before left", () => {
  const failed = next(stateOf("created"), EVENTS["start-failed"] as LifeEvent);
  expect(failed).toMatchObject({ status: "created", exitCode: 127, error: "no such file" });
  expect(next(failed, EVENTS.started as LifeEvent)).toMatchObject({ exitCode: 0, error: "", oomKilled: false });
});
