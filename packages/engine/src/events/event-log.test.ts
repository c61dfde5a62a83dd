import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { silentLogger } from "@slipway/base";
import type { EngineEvent } from "../faces.ts";
import { engineMigrations } from "../schema.ts";
import { EventJournal } from "./event-journal.ts";
import { EventLog, eventMatches } from "./event-log.ts";

function newDatabase(): Database {
  const database = new Database(":memory:");
  for (const step of engineMigrations.steps) if (typeof step === "string") database.run(step);
  return database;
}

const journal = (database = newDatabase()): EventJournal => new EventJournal(database, silentLogger);

const die: EngineEvent = {
  type: "container",
  action: "die",
  id: "abc123",
  attributes: { name: "web", image: "base:latest", tier: "front", exitCode: "0" },
  time: 1n,
};

for (const [filters, matches] of [
  [{}, true],
  [{ type: ["container", "image"] }, true],
  [{ type: ["image"] }, false],
  [{ event: ["die"] }, true],
  [{ event: ["start"] }, false],
  [{ container: ["web"] }, true],
  [{ container: ["abc"] }, true],
  [{ container: ["other"] }, false],
  [{ image: ["base"] }, true],
  [{ image: ["base:latest"] }, true],
  [{ image: ["basis"] }, false],
  [{ label: ["tier=front"] }, true],
  [{ label: ["tier=back"] }, false],
  [{ volume: ["web"] }, false],
  [{ type: ["container"], event: ["die", "start"], label: ["tier"] }, true],
] as const) {
  test(`a container's end ${matches ? "passes" : "does not pass"} ${JSON.stringify(filters)}`, () => {
    expect(eventMatches(filters, die)).toBe(matches);
  });
}

test("an action with a detail is found by its first word", () => {
  expect(eventMatches({ event: ["exec_create"] }, { ...die, action: "exec_create: ls -l" })).toBe(true);
});

test("the past is read first, then what happens, until the reader stops", async () => {
  let clock = 1000;
  const log = new EventLog(journal(), () => clock++);
  const publish = (action: string) => log.publish({ type: "container", action, id: "a", attributes: {} });
  publish("create");
  publish("start");
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const event of log.read({ since: 0n, filters: {}, signal: stop.signal })) {
    seen.push(event.action);
    if (seen.length === 2) publish("die");
    if (event.action === "die") stop.abort();
  }
  expect(seen).toEqual(["create", "start", "die"]);
});

test("a reader with an end in the past gets the past and no more", async () => {
  const log = new EventLog(journal(), () => 5000);
  log.publish({ type: "image", action: "tag", id: "a", attributes: {} });
  const read = log.read({ since: 0n, until: 5_000_000_001n, filters: {}, signal: new AbortController().signal });
  expect(await Array.fromAsync(read)).toHaveLength(1);
});

test("times grow strictly, also within a millisecond", async () => {
  const log = new EventLog(journal(), () => 7);
  const times: bigint[] = [];
  log.subscribe((event) => times.push(event.time));
  for (let count = 0; count < 5; count++) log.publish({ type: "daemon", action: "reload", id: "", attributes: {} });
  expect(new Set(times).size).toBe(5);
  expect([...times].sort((a, b) => Number(a - b))).toEqual(times);
});

test("with an end alone the whole past is read, without bounds none of it", async () => {
  const log = new EventLog(journal(), () => 5000);
  log.publish({ type: "image", action: "tag", id: "a", attributes: {} });
  const { signal } = new AbortController();
  expect(await Array.fromAsync(log.read({ until: 5_000_000_001n, filters: {}, signal }))).toHaveLength(1);
  expect(await Array.fromAsync(log.read({ filters: {}, signal: AbortSignal.abort() }))).toHaveLength(0);
});

test("a restart keeps the past, and times go on growing when the clock went back", async () => {
  const database = newDatabase();
  new EventLog(journal(database), () => 5000).publish({ type: "volume", action: "create", id: "v", attributes: {} });
  const log = new EventLog(journal(database), () => 3000);
  log.publish({ type: "volume", action: "destroy", id: "v", attributes: { driver: "local" } });
  const past = await Array.fromAsync(log.read({ since: 0n, filters: {}, signal: AbortSignal.abort() }));
  expect(past.map(({ action }) => action)).toEqual(["create", "destroy"]);
  expect(past[1]).toMatchObject({ type: "volume", id: "v", attributes: { driver: "local" }, time: 5_000_000_001n });
});

test("the past is bounded in number and in size", () => {
  const database = newDatabase();
  const log = new EventLog(journal(database));
  for (let count = 0; count < 5000; count++) log.publish({ type: "image", action: "tag", id: "a", attributes: {} });
  expect([...journal(database).read()]).toHaveLength(1024);
  const label = "x".repeat(256 * 1024);
  for (let count = 0; count < 40; count++)
    log.publish({ type: "image", action: "tag", id: "b", attributes: { label } });
  const kept = [...journal(database).read()];
  expect(kept.length).toBeLessThan(10);
  expect(kept.at(-1)?.id).toBe("b");
});
