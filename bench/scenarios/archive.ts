import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand, timeCommand } from "../measure.ts";
import type { Scenario } from "../scenario.ts";
import { WRITE_300_MB } from "./build.ts";

const BIG = "bench/big";

async function buildBig(engine: Parameters<Scenario["prepare"]>[0], workspace: string): Promise<void> {
  const directory = join(workspace, engine.name, "big");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "Dockerfile"), `FROM slipway/base\nRUN ${WRITE_300_MB}\n`);
  await runCommand(engine.command("build", "-q", "-t", BIG, directory));
}

const save: Scenario = {
  name: "save of 300 MB",
  unit: "ms",
  goal: 1 / 3,
  rounds: 3,
  async prepare(engine, workspace) {
    await buildBig(engine, workspace);
    return () => timeCommand(engine.command("save", "-o", join(workspace, `${engine.name}.tar`), BIG));
  },
};

const load: Scenario = {
  name: "load of 300 MB",
  unit: "ms",
  goal: 1 / 3,
  rounds: 3,
  async prepare(engine, workspace) {
    await buildBig(engine, workspace);
    const archive = join(workspace, `${engine.name}-load.tar`);
    await runCommand(engine.command("save", "-o", archive, BIG));
    return async () => {
      await runCommand(engine.command("rmi", "-f", BIG));
      // The build's cache would keep the layer, and loading what is there is nobody's measure.
      await runCommand(engine.command("builder", "prune", "-a", "-f"));
      return timeCommand(engine.command("load", "-q", "-i", archive));
    };
  },
};

export const archiveScenarios: readonly Scenario[] = [save, load];
