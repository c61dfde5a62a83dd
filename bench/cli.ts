/**
 * Our client beside Docker's (28) against one engine, ours: what is compared is the client alone. In pairs, in turn.
 *
 *   bun bench/cli.ts [--docker PROGRAM] [--rounds N] [--match TEXT] [--out FILE]
 *
 * Needs root, dist/slipway (./quickstart --setup) and a docker client of version 28.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Engine, startSlipway } from "./engines.ts";
import { type Command, inTurn, runCommand, type Sample, timeCommand } from "./measure.ts";
import { fillContainers } from "./scenarios/list.ts";

const { values: options } = parseArgs({
  options: {
    ...{ docker: { type: "string", default: "docker" }, rounds: { type: "string", default: "21" } },
    ...{ match: { type: "string", default: "" }, out: { type: "string" } },
  },
});

const SLIPWAY = resolve(import.meta.dir, "../dist/slipway");
const LINES = 200_000;

interface Scenario {
  readonly name: string;
  readonly argv: readonly string[];
  /** Our figure divided by Docker's that we want to reach at most. */
  readonly goal: number;
  /** Milliseconds that we want to stay under besides. */
  readonly most?: number;
  /** Containers that there are; three of them run. */
  readonly containers?: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "version --format of the client", argv: ["version", "--format", "{{.Client.Version}}"], goal: 1, most: 6 },
  { name: "--help of the root", argv: ["--help"], goal: 1 },
  { name: "--help of run", argv: ["run", "--help"], goal: 1 },
  { name: "ps with 3 containers", argv: ["ps"], goal: 1, most: 6, containers: 3 },
  { name: "logs of 200,000 lines to a pipe", argv: ["logs", "bench-lines"], goal: 1 / 3 },
  { name: "ps -a with 60 containers", argv: ["ps", "-a"], goal: 1 / 2, containers: 60 },
  { name: "ps -a with 1,000 containers", argv: ["ps", "-a"], goal: 1 / 2, containers: 1000 },
];

const root = mkdtempSync(join(tmpdir(), "slipway-bench-cli-"));
const configuration = join(root, "config");
mkdirSync(configuration);
const rows: string[] = [];
let memory = "";
try {
  await using engine = await startSlipway(root);
  const command = (program: string, argv: readonly string[]): Command => ({
    argv: [program, ...argv],
    env: { ...engine.command().env, DOCKER_CONFIG: configuration },
  });
  const archive = join(root, "base.tar");
  await runCommand({ argv: [process.execPath, resolve(import.meta.dir, "../scripts/base-image.ts"), archive] });
  await runCommand(command(SLIPWAY, ["load", "-q", "-i", archive]));
  await writeLines(engine);
  for (const scenario of SCENARIOS.filter(({ name }) => name.includes(options.match))) {
    if (scenario.containers !== undefined) await fillContainers(engine, 3, scenario.containers);
    const programs = [SLIPWAY, options.docker];
    const measurements = programs.map((program) => () => timeCommand(command(program, scenario.argv)));
    const [ours, theirs] = await inTurn(measurements, Number(options.rounds));
    if (ours === undefined || theirs === undefined) throw new Error("no samples");
    rows.push(rowOf(scenario, ours, theirs));
    console.error(rows.at(-1));
  }
  if (options.match === "") memory = await memoryTable(command);
  const ids = (await runCommand(command(SLIPWAY, ["ps", "-aq"]))).split("\n").filter(Boolean);
  for (let n = 0; n < ids.length; n += 50) await runCommand(command(SLIPWAY, ["rm", "-f", ...ids.slice(n, n + 50)]));
} finally {
  rmSync(root, { recursive: true, force: true });
}
const report = [
  "| scenario | slipway | docker 28 | ratio | goal | reached |\n|---|---|---|---|---|---|",
  ...rows,
  `\nMedian (smallest - largest) of ${options.rounds} rounds in turn; the ratio is that of the medians.\n`,
  memory,
].join("\n");
console.log(report);
if (options.out !== undefined) writeFileSync(options.out, report);

async function writeLines(engine: Engine): Promise<void> {
  const write = `i=0; while [ $i -lt ${LINES} ]; do echo "line $i of a log, with some words in it"; i=$((i+1)); done`;
  await runCommand(
    engine.command("run", "--name", "bench-lines", "--network", "none", "slipway/base", "sh", "-c", write),
  );
}

function rowOf({ name, goal, most }: Scenario, ours: Sample, theirs: Sample): string {
  const show = ({ median, min, max }: Sample) => `${median.toFixed(1)} ms (${min.toFixed(1)} - ${max.toFixed(1)})`;
  const ratio = ours.median / theirs.median;
  const reached = ratio <= goal && (most === undefined || ours.median <= most);
  const goals = `${goal.toFixed(2)}${most === undefined ? "" : `, ${most} ms`}`;
  return `| ${[name, show(ours), show(theirs), ratio.toFixed(2), goals, reached ? "yes" : "no"].join(" | ")} |`;
}

/** Size of the executables, and the memory of a command: at its highest, and what it is made of while one waits. */
async function memoryTable(command: (program: string, argv: readonly string[]) => Command): Promise<string> {
  const lines = ["| | slipway | docker 28 |", "|---|---|---|"];
  const where = await runCommand({ argv: ["sh", "-c", `command -v ${options.docker}`] });
  const programs = [SLIPWAY, where.trim()];
  const row = async (name: string, figure: (program: string) => number | Promise<number>) => {
    const figures = await Promise.all(programs.map(figure));
    lines.push(`| ${[name, ...figures.map((bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`)].join(" | ")} |`);
  };
  await row("executable", (program) => statSync(program).size);
  await row("ps, resident at most", (program) => peakOf(command(program, ["ps"])));
  const maps = new Map<string, string>();
  for (const program of programs) maps.set(program, await whileWaiting(command(program, ["events"])));
  const parts = {
    resident: "Rss",
    "pages of files, shared": "Shared_Clean",
    "pages of files, its own": "Private_Clean",
  };
  for (const [name, field] of Object.entries({ ...parts, "written by it": "Private_Dirty" })) {
    const figure = (program: string) =>
      Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(maps.get(program) ?? "")?.[1] ?? 0) * 1024;
    await row(`events, waiting: ${name}`, figure);
  }
  return `${lines.join("\n")}\n`;
}

/** Read while it runs: what the kernel tells at the end counts the process that it was forked from. Bytes. */
async function peakOf({ argv, env }: Command): Promise<number> {
  let peak = 0;
  for (let round = 0; round < 5; round++) {
    const child = Bun.spawn([...argv], { env: { ...process.env, ...env }, stdout: "ignore" });
    while (child.exitCode === null) {
      const status = await Bun.file(`/proc/${child.pid}/status`)
        .text()
        .catch(() => "");
      if (!status.startsWith("Name:\tbun")) {
        peak = Math.max(peak, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024);
      }
    }
    await child.exited;
  }
  return peak;
}

async function whileWaiting({ argv, env }: Command): Promise<string> {
  const child = Bun.spawn([...argv], { env: { ...process.env, ...env }, stdout: "ignore" });
  await Bun.sleep(1000);
  const text = readFileSync(`/proc/${child.pid}/smaps_rollup`, "utf8");
  child.kill("SIGKILL");
  await child.exited;
  return text;
}
