/**
 * Many containers at once: started, listed, watched, the daemon restarted below them, stopped, and not a line of their
 * logs lost. Prints figures; ends with 1 when something is not as promised.
 *
 *   bun tests/long/crowd.ts [--count 200]
 */
import { parseArgs } from "node:util";
import { proportionalMemory } from "../../bench/engines.ts";
import { BASE, Engine } from "../e2e/harness.ts";
import { Api, eachOf } from "./api.ts";

export interface CrowdFigures {
  /** Milliseconds. */
  readonly start: number;
  readonly list: number;
  readonly restart: number;
  readonly stop: number;
  readonly stubbornStop: number;
  /** KiB of proportional set size of our processes, for each container after the first. */
  readonly memory: number;
  /** Of all containers. */
  readonly lines: number;
}

/** Seconds that containers get which ignore the signal. */
const PATIENCE = 2;
/** A line each half second; says goodbye with the number of lines that it wrote. */
const SPEAKER = "trap 'echo end $i; exit 0' TERM; i=0; while :; do echo line $i; i=$((i+1)); sleep 0.5 & wait $!; done";
/** As it, and ignores whoever asks it to end. */
const STUBBORN = "trap '' TERM; i=0; while :; do echo line $i; i=$((i+1)); sleep 0.5; done";

interface Listed {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
}

/**
 * Throws with what is not as promised. The engine is empty before and afterwards. `settle`: milliseconds until the daemon
 * and the supervisor have given back what they only needed for the work.
 */
export async function crowd(engine: Engine, count: number, settle = 5000): Promise<CrowdFigures> {
  const api = new Api(engine.socket);
  const owned = (commandLine: string): boolean => commandLine.includes(engine.root);
  const left = new AbortController();
  const events: string[] = [];
  const watching = watchEvents(api, left.signal, events);
  const ids: string[] = [];
  const begin = async (n: number): Promise<void> => {
    const made = await api.json<{ Id: string }>("POST", `/containers/create?name=crowd-${n}`, {
      ...{ Image: BASE, Cmd: ["sh", "-c", isStubborn(n) ? STUBBORN : SPEAKER] },
    });
    ids[n] = made.Id;
    await api.json("POST", `/containers/${made.Id}/start`);
  };

  await begin(0);
  await Bun.sleep(settle);
  const before = proportionalMemory(owned);
  const start = await timed(() => eachOf(numbers(1, count), 16, begin));
  const list = await timed(async () => expectRunning(await listed(api), count));
  await Bun.sleep(settle);
  const memory = ((proportionalMemory(owned) - before) * 1024) / Math.max(1, count - 1);

  const followed = ids.map((id) => follow(api, id, left.signal));
  const pids = await pidsOf(api, ids);
  await expectTalking(followed);
  left.abort();
  await watching;
  expectEvents(events, "start", count);

  const restart = await timed(async () => {
    await engine.stopDaemon("SIGTERM");
    await engine.startDaemon();
  });
  // And once without a word of warning.
  await engine.stopDaemon("SIGKILL");
  await engine.startDaemon();
  expectRunning(await listed(api), count);
  expectSame(await pidsOf(api, ids), pids);

  const stubborn = ids.filter((_, n) => isStubborn(n));
  const speakers = ids.filter((_, n) => !isStubborn(n));
  const stopAll = (some: readonly string[]) => () =>
    Promise.all(some.map((id) => api.json("POST", `/containers/${id}/stop?t=${PATIENCE}`)));
  const stop = await timed(stopAll(speakers));
  const stubbornStop = await timed(stopAll(stubborn));
  let lines = 0;
  for (const id of ids) lines += await expectWholeLog(api, id, speakers.includes(id));
  await eachOf(ids, 16, (id) => api.json("DELETE", `/containers/${id}?force=1`));
  return { start, list, restart, stop, stubbornStop, memory, lines };
}

function isStubborn(n: number): boolean {
  return n % 4 === 3;
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function listed(api: Api): Promise<Listed[]> {
  return api.json<Listed[]>("GET", "/containers/json");
}

function expectRunning(containers: readonly Listed[], count: number): void {
  const running = containers.filter(({ State }) => State === "running").length;
  if (running !== count) throw new Error(`${running} of ${count} containers run`);
}

async function pidsOf(api: Api, ids: readonly string[]): Promise<number[]> {
  const pids: number[] = [];
  for (const id of ids) {
    const { State } = await api.json<{ State: { Pid: number } }>("GET", `/containers/${id}/json`);
    pids.push(State.Pid);
  }
  return pids;
}

function expectSame(actual: readonly number[], expected: readonly number[]): void {
  const changed = actual.filter((pid, n) => pid !== expected[n]).length;
  if (changed > 0) throw new Error(`${changed} containers have another process after the restarts`);
}

async function watchEvents(api: Api, signal: AbortSignal, events: string[]): Promise<void> {
  try {
    const filters = encodeURIComponent(JSON.stringify({ type: ["container"] }));
    for await (const line of api.lines(`/events?filters=${filters}`, signal)) {
      events.push((JSON.parse(line) as { Action: string }).Action);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function expectEvents(events: readonly string[], action: string, count: number): void {
  const seen = events.filter((each) => each === action).length;
  if (seen !== count) throw new Error(`${seen} of ${count} events ${action} were seen`);
}

interface Follower {
  /** The number of the last line. */
  last: number;
  /** Lines that did not follow the one before. */
  gaps: number;
}

function follow(api: Api, id: string, signal: AbortSignal): Follower {
  const follower: Follower = { last: -1, gaps: 0 };
  const read = async (): Promise<void> => {
    for await (const line of api.lines(`/containers/${id}/logs?stdout=1&follow=1`, signal)) {
      const number = Number(/line (\d+)$/.exec(line)?.[1]);
      if (number !== follower.last + 1) follower.gaps++;
      follower.last = number;
    }
  };
  read().catch(() => {});
  return follower;
}

/** All followers have seen new lines while all were watched at once, each in order. */
async function expectTalking(followers: readonly Follower[]): Promise<void> {
  const deadline = performance.now() + 30_000;
  await Bun.sleep(1000);
  const first = followers.map(({ last }) => last);
  while (followers.some(({ last }, n) => last < (first[n] ?? 0) + 3)) {
    if (performance.now() > deadline) throw new Error("a container that is watched is not heard");
    await Bun.sleep(50);
  }
  const gaps = followers.reduce((sum, follower) => sum + follower.gaps, 0);
  if (gaps > 0) throw new Error(`${gaps} lines were not seen by those who watched`);
}

/** Lines without a gap from the first to the last that was written. Returns their number. */
async function expectWholeLog(api: Api, id: string, saysGoodbye: boolean): Promise<number> {
  const response = await api.fetch("GET", `/containers/${id}/logs?stdout=1`);
  const texts = [...(await response.text()).matchAll(/(?:line|end) \d+/g)].map(([text]) => text);
  const written = texts.filter((text) => text.startsWith("line"));
  const missing = written.findIndex((text, n) => text !== `line ${n}`);
  if (missing >= 0) throw new Error(`line ${missing} of ${id} is missing`);
  if (saysGoodbye && texts.at(-1) !== `end ${written.length}`) {
    throw new Error(`the log of ${id} ends with "${texts.at(-1)}" after ${written.length} lines`);
  }
  return written.length;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { count: { type: "string", default: "200" } } });
  const count = Number(values.count);
  await using engine = await Engine.start();
  const figures = await crowd(engine, count);
  const stubborn = numbers(0, count).filter(isStubborn).length;
  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;
  console.log(`
| ${count} containers at once | |
|---|---|
| created and started, 16 at a time | ${seconds(figures.start)} |
| listed | ${figures.list.toFixed(0)} ms |
| memory of our processes for each further one (PSS) | ${figures.memory.toFixed(0)} KiB |
| daemon ended and started again, all go on | ${seconds(figures.restart)} |
| ${count - stubborn} that handle TERM stopped at once | ${seconds(figures.stop)} |
| ${stubborn} that ignore it, ${PATIENCE} s each | ${seconds(figures.stubbornStop)} |
| lines of their logs, none missing | ${figures.lines} |
`);
  if (figures.memory > 200) throw new Error("a container costs more than 0.2 MB");
}
