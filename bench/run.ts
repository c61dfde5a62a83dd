/**
 * Slipway beside Debian's Docker on one machine, in one run, in pairs.
 *
 *   bun bench/run.ts [--only slipway|docker] [--match TEXT] [--client PROGRAM] [--list] [--out FILE]
 *
 * `--match` takes those whose name contains the text; several texts are separated by commas. `--client` drives both
 * engines with one client (docker), which compares the engines alone.
 *
 * Needs root, dist/slipway (./quickstart --setup) and Debian's docker.io, or only the one that is named.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Engine, startDocker, startSlipway } from "./engines.ts";
import { prepareGround } from "./machine.ts";
import { inTurn, runCommand, timeCommand } from "./measure.ts";
import type { Row, Scenario } from "./scenario.ts";
import { archiveScenarios } from "./scenarios/archive.ts";
import { buildScenarios } from "./scenarios/build.ts";
import { containerScenarios } from "./scenarios/containers.ts";
import { daemonReadiness } from "./scenarios/daemon.ts";
import { listScenarios } from "./scenarios/list.ts";
import { networkScenarios } from "./scenarios/network.ts";
import { registryScenarios } from "./scenarios/registry.ts";
import { runScenarios } from "./scenarios/run.ts";
import { table } from "./table.ts";

const { values: options } = parseArgs({
  options: {
    ...{ only: { type: "string" }, match: { type: "string" }, client: { type: "string" } },
    ...{ list: { type: "boolean" }, out: { type: "string" } },
  },
});

const all = [
  ...[...runScenarios, ...listScenarios, ...containerScenarios, ...networkScenarios],
  ...[...buildScenarios, ...archiveScenarios, ...registryScenarios],
];
const words = (options.match ?? "").split(",");
const scenarios = all.filter(({ name }) => words.some((word) => name.includes(word.trim())));
if (options.list) {
  console.log(all.map(({ name }) => name).join("\n"));
  process.exit();
}

await using ground = await prepareGround(24);
const base = join(ground.directory, "base.tar");
await runCommand({ argv: [process.execPath, resolve(import.meta.dir, "../scripts/base-image.ts"), base] });

const rows: Row[] = [];
{
  await using slipway = options.only === "docker" ? undefined : await startSlipway(ground.directory, options.client);
  await using docker = options.only === "slipway" ? undefined : await startDocker(ground.directory, options.client);
  const engines = [slipway, docker].filter((engine) => engine !== undefined);
  for (const engine of engines) await runCommand(engine.command("load", "-q", "-i", base));
  for (const scenario of scenarios) rows.push(await measure(scenario, engines, ground.directory));
  for (const engine of engines) await removeContainers(engine);
}
const ready =
  options.only === "docker" || options.match !== undefined ? undefined : await daemonReadiness(ground.directory);
const report = table(rows, ready);
console.log(report);
if (options.out !== undefined) writeFileSync(options.out, report);

async function measure(scenario: Scenario, engines: readonly Engine[], directory: string): Promise<Row> {
  const workspace = join(directory, "work");
  mkdirSync(workspace, { recursive: true });
  const measurements: (() => Promise<number>)[] = [];
  for (const engine of engines) measurements.push(await scenario.prepare(engine, workspace));
  const samples = await inTurn(measurements, scenario.rounds);
  for (const engine of engines) await scenario.clean?.(engine);
  const row = {
    scenario,
    samples: new Map(engines.map((engine, index) => [engine.name, samples[index]] as const)),
  } as Row;
  console.error(
    `${scenario.name}: ${samples.map(({ median }, index) => `${engines[index]?.name} ${median.toFixed(1)} ${scenario.unit}`).join(", ")}`,
  );
  return row;
}

async function removeContainers(engine: Engine): Promise<void> {
  const ids = (await runCommand(engine.command("ps", "-aq"))).split("\n").filter(Boolean);
  if (ids.length > 0) await timeCommand(engine.command("rm", "-f", ...ids));
}
