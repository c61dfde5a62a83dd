/**
 * `kill -9` of the daemon, of the supervisor, of both, at random moments of a random sequence of API calls; after each
 * restart all that is said in kill/invariants.ts must hold. Ends with 1 at the first round in which it does not.
 *
 *   bun tests/long/kill-rounds.ts [--rounds 200] [--seed 1] [--keep]
 *
 * `--keep` leaves an engine that failed as it is, for looking into it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { checkInvariants, openStore } from "@slipway/store";
import { Random } from "@slipway/testkit";
import { BASE, Engine } from "../e2e/harness.ts";
import { Api } from "./api.ts";
import { engineProblems } from "./kill/invariants.ts";
import { Memory, Player, SPARED } from "./kill/moves.ts";

/** Who ask for something at the same time. */
const PLAYERS = 5;
/** Milliseconds after which what does not hold will not hold any more. */
const SETTLE = 20_000;
/** The store is opened and read byte by byte after so many rounds. */
const STORE_EVERY = 10;

export interface KillReport {
  readonly rounds: number;
  /** Answers of 500 and above, and how often. */
  readonly failures: ReadonlyMap<string, number>;
}

export async function killRounds(options: {
  readonly rounds: number;
  readonly seed: number;
  readonly say: (text: string) => void;
  /** Sees the engine as it failed. */
  readonly onFailure?: (engine: Engine, error: unknown) => void;
}): Promise<KillReport> {
  const random = new Random(options.seed);
  const memory = new Memory();
  await using engine = await Engine.start();
  const api = new Api(engine.socket);
  try {
    await startWitness(api, memory);
    for (let round = 1; round <= options.rounds; round++) {
      const victims = random.pick(["daemon", "supervisor", "both"] as const);
      const began = performance.now();
      await playAndKill(engine, api, { random, memory, victims });
      if (memory.unanswered) throw new Error(`round ${round}, ${victims} killed: a request was never answered`);
      await settle(engine, api, { memory, round, victims });
      if (round % STORE_EVERY === 0 || round === options.rounds) await checkStore(engine);
      await expectWitness(api, round);
      options.say(`round ${round}: ${victims} killed, all holds after ${Math.round(performance.now() - began)} ms`);
    }
  } catch (error) {
    options.onFailure?.(engine, error);
    throw error;
  }
  return { rounds: options.rounds, failures: memory.failures };
}

/** One whose output must go on through everything. */
async function startWitness(api: Api, memory: Memory): Promise<void> {
  const command = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done";
  const { Id } = await api.json<{ Id: string }>("POST", "/containers/create?name=witness", {
    ...{ Image: BASE, Cmd: ["sh", "-c", command], Labels: { [SPARED]: "" }, HostConfig: { NetworkMode: "none" } },
  });
  memory.kept.add(Id);
  await api.json("POST", `/containers/${Id}/start`);
}

async function expectWitness(api: Api, round: number): Promise<void> {
  const response = await api.fetch("GET", "/containers/witness/logs?stdout=1");
  let next: number | undefined;
  for (const [, text] of (await response.text()).matchAll(/(\d+)\n/g)) {
    const number = Number(text);
    // Old files are rotated away in a long run; what was written when the supervisor died may be there twice.
    if (next !== undefined && number > next) throw new Error(`round ${round}: line ${next} of the witness is missing`);
    next = Math.max(next ?? 0, number + 1);
  }
}

async function playAndKill(
  engine: Engine,
  api: Api,
  game: { readonly random: Random; readonly memory: Memory; readonly victims: "daemon" | "supervisor" | "both" },
): Promise<void> {
  const { random, memory, victims } = game;
  const over = new AbortController();
  const players = Array.from({ length: PLAYERS }, () => new Player(api, new Random(random.below(2 ** 31)), memory));
  const playing = players.map((player) => player.play(over.signal));
  // The random moment itself.
  await Bun.sleep(20 + random.below(400));
  if (victims !== "daemon") for (const pid of supervisorsOf(engine)) process.kill(pid, "SIGKILL");
  if (victims !== "supervisor") await engine.stopDaemon("SIGKILL");
  else await Bun.sleep(random.below(200));
  over.abort();
  if (victims !== "supervisor") await engine.startDaemon();
  await Promise.all(playing);
}

/** The workers, not the keepers that outlive them. */
function supervisorsOf(engine: Engine): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
        return words.includes("supervisor") && words.includes(engine.execRoot);
      } catch {
        return false;
      }
    })
    .map(Number);
}

async function settle(
  engine: Engine,
  api: Api,
  game: { readonly memory: Memory; readonly round: number; readonly victims: string },
): Promise<void> {
  const deadline = performance.now() + SETTLE;
  for (;;) {
    const problems = await engineProblems(engine, api, game.memory);
    if (problems.length === 0) return;
    if (performance.now() > deadline) {
      const head = `round ${game.round}, ${game.victims} killed: after ${SETTLE / 1000} s this does not hold:`;
      throw new Error(`${head}\n  ${problems.join("\n  ")}`);
    }
    await Bun.sleep(50);
  }
}

/** With no daemon there, and containers running on. */
async function checkStore(engine: Engine): Promise<void> {
  await engine.stopDaemon();
  const store = await openStore({ root: engine.dataRoot, migrations: [] });
  try {
    const problems = await checkInvariants(store);
    if (problems.length > 0) throw new Error(`the store:\n  ${problems.join("\n  ")}`);
  } finally {
    await store.close();
  }
  await engine.startDaemon();
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      ...{ rounds: { type: "string", default: "200" }, seed: { type: "string", default: "1" } },
      keep: { type: "boolean", default: false },
    },
  });
  const report = await killRounds({
    ...{ rounds: Number(values.rounds), seed: Number(values.seed), say: console.log },
    onFailure: (engine, error) => {
      console.log(error);
      if (!values.keep) return;
      console.log(`kept: ${engine.root}`);
      process.exit(1);
    },
  });
  for (const [words, times] of report.failures) console.log(`${times} times answered: ${words}`);
  console.log(`${report.rounds} rounds: everything holds`);
}
