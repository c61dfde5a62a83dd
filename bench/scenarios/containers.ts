import { randomFillSync } from "node:crypto";
import { closeSync, existsSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engines.ts";
import { runCommand, timeCommand } from "../measure.ts";
import type { Scenario } from "../scenario.ts";

const IMAGE = "slipway/base";
const LOGGER = "bench-logger";
const COPIED = "bench-copied";
const STOPPED = "bench-stopped";
const LINES = 200_000;

const logs: Scenario = {
  name: "logs of 200,000 lines",
  unit: "ms",
  goal: 1 / 3,
  rounds: 5,
  async prepare(engine, workspace) {
    const write = `i=0; while [ $i -lt ${LINES} ]; do echo "line $i of a log, with some words in it"; i=$((i+1)); done`;
    await runCommand(engine.command("run", "--name", LOGGER, "--network", "none", IMAGE, "sh", "-c", write));
    const out = join(workspace, `${engine.name}.log`);
    const command = { ...engine.command("logs", LOGGER), stdout: out };
    await runCommand(command);
    const lines = (await Bun.file(out).text()).split("\n").length - 1;
    if (lines !== LINES) throw new Error(`${engine.name} kept ${lines} of ${LINES} lines`);
    return () => timeCommand(command);
  },
  clean: (engine) => remove(engine, LOGGER),
};

const copy = (direction: "in" | "out"): Scenario => ({
  name: `cp of 200 MB ${direction}`,
  unit: "ms",
  goal: 1 / 2,
  rounds: 5,
  async prepare(engine, workspace) {
    const file = join(workspace, "two-hundred-megabytes");
    if (!existsSync(file)) writeRandom(file, 200);
    const out = join(workspace, `${engine.name}-copied`);
    await runCommand(engine.command("run", "-d", "--name", COPIED, "--network", "none", IMAGE, "sleep", "100000"));
    await runCommand(engine.command("cp", file, `${COPIED}:/copied`));
    return async () => {
      // Another one's write-back must not be charged to this copy.
      await runCommand({ argv: ["sync", "-f", workspace] });
      if (direction === "in") return timeCommand(engine.command("cp", file, `${COPIED}:/copied`));
      rmSync(out, { force: true });
      return timeCommand(engine.command("cp", `${COPIED}:/copied`, out));
    };
  },
  clean: (engine) => remove(engine, COPIED),
});

const stop: Scenario = {
  name: "stop of a container that handles TERM",
  unit: "ms",
  goal: 1 / 2,
  rounds: 11,
  async prepare(engine) {
    const handle = "trap 'exit 0' TERM; echo ready; while :; do sleep 1000 & wait; done";
    await runCommand(engine.command("create", "--name", STOPPED, IMAGE, "sh", "-c", handle));
    let starts = 0;
    return async () => {
      await runCommand(engine.command("start", STOPPED));
      starts++;
      // Only once it handles the signal is it what the name says.
      while ((await runCommand(engine.command("logs", STOPPED))).split("ready").length <= starts) await Bun.sleep(10);
      return timeCommand(engine.command("stop", STOPPED));
    };
  },
  clean: (engine) => remove(engine, STOPPED),
};

const FURTHER = 40;

const further: Scenario = {
  name: "memory of each further running container",
  unit: "KiB",
  goal: 200 / 2400,
  rounds: 1,
  async prepare(engine) {
    const names = Array.from({ length: FURTHER + 1 }, (_, n) => `bench-further-${n}`);
    const start = (name: string) => runCommand(engine.command("run", "-d", "--name", name, IMAGE, "sleep", "100000"));
    return async () => {
      // The first one is there already: what only it needs is not a further one's.
      await start(names[0] ?? "");
      await Bun.sleep(3000);
      const before = engine.memory();
      for (const name of names.slice(1)) await start(name);
      await Bun.sleep(3000);
      const grown = ((engine.memory() - before) * 1024) / FURTHER;
      await remove(engine, ...names);
      return grown;
    };
  },
};

async function remove(engine: Engine, ...names: string[]): Promise<void> {
  await runCommand(engine.command("rm", "-f", ...names));
}

function writeRandom(path: string, megabytes: number): void {
  const block = Buffer.alloc(1_000_000);
  const fd = openSync(path, "w");
  for (let n = 0; n < megabytes; n++) writeSync(fd, randomFillSync(block));
  closeSync(fd);
}

export const containerScenarios: readonly Scenario[] = [further, stop, logs, copy("in"), copy("out")];
