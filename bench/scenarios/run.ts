import type { Engine } from "../engines.ts";
import { runCommand, timeCommand } from "../measure.ts";
import type { Scenario } from "../scenario.ts";

const IMAGE = "slipway/base";

const runTrue = (name: string, flags: readonly string[]): Scenario => ({
  name,
  unit: "ms",
  goal: 1 / 4,
  rounds: 15,
  prepare: async (engine) => () => timeCommand(engine.command("run", "--rm", ...flags, IMAGE, "true")),
});

const detached: Scenario = {
  name: "run -d until it returns",
  unit: "ms",
  goal: 1 / 4,
  rounds: 11,
  async prepare(engine) {
    return async () => {
      const took = await timeCommand(engine.command("run", "-d", "--name", "bench-detached", IMAGE, "sleep", "1000"));
      await runCommand(engine.command("rm", "-f", "bench-detached"));
      return took;
    };
  },
};

const exec: Scenario = {
  name: "exec true",
  unit: "ms",
  goal: 1 / 3,
  rounds: 15,
  async prepare(engine) {
    await runCommand(engine.command("run", "-d", "--name", "bench-exec", IMAGE, "sleep", "100000"));
    return () => timeCommand(engine.command("exec", "bench-exec", "true"));
  },
};

const sixteen: Scenario = {
  name: "16 run --rm at once, default network",
  unit: "ms",
  goal: 1 / 4,
  rounds: 5,
  async prepare(engine) {
    return async () => {
      const began = performance.now();
      await Promise.all(Array.from({ length: 16 }, () => runCommand(engine.command("run", "--rm", IMAGE, "true"))));
      return performance.now() - began;
    };
  },
};

const idleMemory: Scenario = {
  name: "memory of all processes, idle",
  unit: "MiB",
  goal: 60 / 134,
  rounds: 3,
  prepare: async (engine) => async () => {
    await Bun.sleep(1000);
    return engine.memory();
  },
};

const loadedMemory: Scenario = {
  name: "memory of all processes, 20 sleeping containers",
  unit: "MiB",
  goal: 65 / 193,
  rounds: 3,
  async prepare(engine) {
    await startSleepers(engine, 20);
    return async () => {
      await Bun.sleep(1000);
      return engine.memory();
    };
  },
};

async function startSleepers(engine: Engine, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await runCommand(engine.command("run", "-d", "--name", `bench-sleeper-${n}`, IMAGE, "sleep", "100000"));
  }
}

const clientVersion: Scenario = {
  name: "CLI: version of the client",
  unit: "ms",
  goal: 1,
  rounds: 25,
  prepare: async (engine) => () => timeCommand(engine.command("version", "--format", "{{.Client.Version}}")),
};

const ps: Scenario = {
  name: "CLI: ps against the socket",
  unit: "ms",
  goal: 1,
  rounds: 25,
  prepare: async (engine) => () => timeCommand(engine.command("ps")),
};

// Idle memory comes first: what later scenarios leave in caches would be charged to it.
export const runScenarios: readonly Scenario[] = [
  idleMemory,
  clientVersion,
  ps,
  runTrue("run --rm true, no network", ["--network", "none"]),
  runTrue("run --rm true, default network", []),
  detached,
  exec,
  sixteen,
  loadedMemory,
];
