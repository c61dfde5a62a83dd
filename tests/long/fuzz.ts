/**
 * Everything that a hostile client can send to the API, for some minutes: archives, paths, names, filters, documents,
 * requests. The engine must go on answering, use no more than so much memory, and change nothing outside the containers.
 *
 *   bun tests/long/fuzz.ts [--minutes 10] [--seed 1]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Random } from "@slipway/testkit";
import { BASE, Engine } from "../e2e/harness.ts";
import { Api } from "./api.ts";
import { type Answer, ATTACKS, type Ground } from "./fuzz/attacks.ts";
import { Canary } from "./fuzz/canary.ts";
import { HostileWords } from "./fuzz/hostile-words.ts";

const ATTACKERS = 4;
/** Milliseconds within which `/_ping` must be answered while all of it goes on. */
const LONGEST_PING = 10_000;
/** MiB of resident memory of the daemon, at any moment. */
const MOST_MEMORY = 700;
/** Milliseconds between two looks at canary and memory. */
const LOOK_EVERY = 1000;

export interface FuzzReport {
  readonly requests: number;
  readonly statuses: ReadonlyMap<number, number>;
  /** Answers of 500 and above: nothing broke, but somebody should have said what was wrong. */
  readonly failures: ReadonlyMap<string, string>;
  /** MiB and milliseconds. */
  readonly mostMemory: number;
  readonly slowestPing: number;
}

export async function fuzz(options: { readonly seconds: number; readonly seed: number }): Promise<FuzzReport> {
  const random = new Random(options.seed);
  using canary = new Canary();
  await using engine = await Engine.start();
  const api = new Api(engine.socket);
  await prepare(api, canary.path);
  const bystander = await contentOf(api, "bystander");
  const statuses = new Map<number, number>();
  const failures = new Map<string, string>();
  const note = (what: string, { status, text }: Answer): void => {
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status >= 500 && status !== 501) failures.set(text.slice(0, 200).replace(/[0-9a-f]{12,}/g, "ID"), what);
  };
  const until = performance.now() + options.seconds * 1000;
  const figures = { mostMemory: 0, slowestPing: 0 };
  const attack = async (seed: number): Promise<void> => {
    const own = new Random(seed);
    const words = new HostileWords(own, canary.path);
    const ground: Ground = { api, socket: engine.socket, random: own, words, canary: canary.path, note };
    while (performance.now() < until) {
      // A connection that the engine cut is an answer; an engine that is gone is found by whoever looks after it.
      await own
        .pick(ATTACKS)(ground)
        .catch(() => {});
    }
  };
  const attackers = Array.from({ length: ATTACKERS }, () => attack(random.below(2 ** 31)));
  while (performance.now() < until) {
    await Bun.sleep(LOOK_EVERY);
    await look(engine, canary, figures);
    await tidy(api);
  }
  await Promise.all(attackers);
  await tidy(api);
  await look(engine, canary, figures);
  if ((await contentOf(api, "bystander")) !== bystander) throw new Error("the files of another container have changed");
  const unexpected = engine
    .log()
    .split("\n")
    .filter((line) => line.includes("unexpected failure"));
  if (unexpected.length > 0) throw new Error(`the daemon did not expect this:\n${unexpected.slice(0, 5).join("\n")}`);
  const requests = [...statuses.values()].reduce((sum, count) => sum + count, 0);
  return { requests, statuses, failures, ...figures };
}

/** Containers to aim at, one of which changes links while it is aimed at, and one that nobody aims at. */
async function prepare(api: Api, canary: string): Promise<void> {
  const swap = `mkdir -p /tmp; while :; do mkdir -p /tmp/swap; rm -rf /tmp/swap; ln -s ${"../".repeat(20)}${canary.slice(1)} /tmp/swap; rm -f /tmp/swap; done`;
  const containers: readonly (readonly [string, string, boolean])[] = [
    ["target", "exec sleep 100000", true],
    ["swapping", swap, true],
    ["stopped", "true", false],
    ["bystander", "exec sleep 100000", true],
  ];
  for (const [name, command, start] of containers) {
    const config = {
      Image: BASE,
      Cmd: ["sh", "-c", command],
      HostConfig: { Binds: ["shared:/data"], Memory: 512_000_000 },
    };
    const bound = name === "bystander" ? { ...config, HostConfig: {} } : config;
    await api.json("POST", `/containers/create?name=${name}`, bound);
    if (start) await api.json("POST", `/containers/${name}/start`);
  }
}

async function contentOf(api: Api, container: string): Promise<string> {
  const response = await api.fetch("GET", `/containers/${container}/changes`);
  return response.text();
}

async function look(
  engine: Engine,
  canary: Canary,
  figures: { mostMemory: number; slowestPing: number },
): Promise<void> {
  figures.slowestPing = Math.max(figures.slowestPing, await ping(engine.socket));
  const changes = canary.changes();
  if (changes.length > 0) throw new Error(`files of the host have changed:\n${changes.join("\n")}`);
  const memory = residentMemory(engine.daemonPid);
  figures.mostMemory = Math.max(figures.mostMemory, memory);
  if (memory > MOST_MEMORY) throw new Error(`the daemon takes ${memory.toFixed(0)} MiB`);
}

/** Milliseconds until a ping is answered, asked by a process of its own: this one is busy with its attacks. */
async function ping(socket: string): Promise<number> {
  const program = `
    const began = performance.now();
    const signal = AbortSignal.timeout(${LONGEST_PING});
    const { ok } = await fetch("http://engine/_ping", { unix: ${JSON.stringify(socket)}, signal });
    console.log(ok ? performance.now() - began : "refused");`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "pipe" });
  const [text, complaint] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const milliseconds = Number.parseFloat(text);
  if (Number.isNaN(milliseconds))
    throw new Error(`the engine does not answer a ping: ${text}${complaint.slice(0, 300)}`);
  return milliseconds;
}

function residentMemory(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? Number.NaN) / 1024;
}

/** What piles up is taken away: it is not what is measured here. */
async function tidy(api: Api): Promise<void> {
  const spared = ["/target", "/swapping", "/stopped", "/bystander"];
  const containers = await api.json<{ Id: string; Names: string[] }[]>("GET", "/containers/json?all=1");
  for (const { Id, Names } of containers) {
    if (!Names.some((name) => spared.includes(name))) await api.fetch("DELETE", `/containers/${Id}?force=1&v=1`);
  }
  for (const kind of ["volumes", "networks", "images"]) {
    const filters = kind === "volumes" ? `?filters=${encodeURIComponent('{"all":["1"]}')}` : "";
    await api.fetch("POST", `/${kind}/prune${filters}`);
  }
  // A hostile update takes away the memory that they live in.
  for (const name of ["target", "swapping"]) {
    await api.fetch("POST", `/containers/${name}/update`, json({ Memory: 512_000_000, MemorySwap: -1, PidsLimit: 0 }));
    await api.fetch("POST", `/containers/${name}/unpause`);
    await api.fetch("POST", `/containers/${name}/start`);
  }
  // What was copied in must not fill the disk.
  const wipe = { Cmd: ["sh", "-c", "rm -rf /data/* /bomb /*/bomb"] };
  const made = await api.fetch("POST", "/containers/target/exec", json(wipe));
  const { Id } = (await made.json()) as { Id?: string };
  if (Id !== undefined) await (await api.fetch("POST", `/exec/${Id}/start`, json({ Detach: true }))).text();
}

function json(document: unknown): { readonly body: string; readonly headers: Readonly<Record<string, string>> } {
  return { body: JSON.stringify(document), headers: { "Content-Type": "application/json" } };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { minutes: { type: "string", default: "10" }, seed: { type: "string", default: "1" } },
  });
  const report = await fuzz({ seconds: Number(values.minutes) * 60, seed: Number(values.seed) });
  for (const [words, where] of report.failures) console.log(`${where}\n    ${words}`);
  console.log(
    [...report.statuses]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `${count} times ${status}`)
      .join(", "),
  );
  const memory = `at most ${report.mostMemory.toFixed(0)} MiB resident`;
  console.log(
    `${report.requests} requests: nothing broken, ${memory}, pings within ${report.slowestPing.toFixed(0)} ms`,
  );
}
