import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engines.ts";
import { runCommand, timeCommand } from "../measure.ts";
import type { Scenario } from "../scenario.ts";

const IMAGE = "slipway/base";

function writeTree(root: string, files: number, bytes: number, perDirectory = 100): void {
  for (let n = 0; n < files; n++) {
    const directory = join(root, `d${Math.floor(n / perDirectory)}`);
    if (n % perDirectory === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `f${n}`), pattern(n, bytes));
  }
}

/** Bytes that differ from file to file and compress as text does, always the same. */
function pattern(seed: number, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  let state = seed * 2654435761 + 1;
  for (let n = 0; n < bytes; n++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    out[n] = 97 + ((state >>> 16) % 24);
  }
  return out;
}

function project(workspace: string, engine: Engine, name: string, dockerfile: string): string {
  const directory = join(workspace, engine.name, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "Dockerfile"), dockerfile);
  return directory;
}

const build = (engine: Engine, directory: string, ...flags: string[]) => {
  const { argv, env } = engine.command("build", "-q", "-t", "bench", ...flags, directory);
  return { argv, ...(env && { env }) };
};

const allCached: Scenario = {
  name: "rebuild, all cached, 12 instructions",
  unit: "ms",
  goal: 1 / 3,
  rounds: 15,
  async prepare(engine, workspace) {
    const directory = project(
      workspace,
      engine,
      "cached",
      `FROM ${IMAGE}\nARG A=1\nENV B=2\nWORKDIR /w\nCOPY a a\nRUN echo 1 > 1\nRUN echo 2 > 2\nCOPY b b\nRUN echo 3 > 3\nEXPOSE 80\nUSER nobody\nCMD ["true"]\n`,
    );
    writeFileSync(join(directory, "a"), "a");
    writeFileSync(join(directory, "b"), "b");
    await runCommand(build(engine, directory));
    return () => timeCommand(build(engine, directory));
  },
};

const tenThousand = (name: string, goal: number, change: boolean): Scenario => ({
  name,
  unit: "ms",
  goal,
  rounds: 7,
  async prepare(engine, workspace) {
    const directory = project(workspace, engine, change ? "changed" : "unchanged", `FROM ${IMAGE}\nCOPY . /src\n`);
    writeTree(join(directory, "src"), 10_000, 2000);
    await runCommand(build(engine, directory));
    let round = 0;
    return () => {
      if (change) writeFileSync(join(directory, "src/d7/f700"), `change ${engine.name} ${round++} ${Date.now()}`);
      return timeCommand(build(engine, directory));
    };
  },
});

const ignored = (name: string, cached: boolean): Scenario => ({
  name,
  unit: "ms",
  goal: 1 / 4,
  rounds: 5,
  async prepare(engine, workspace) {
    const make = (suffix: string) => {
      const directory = project(workspace, engine, `ignored${suffix}`, `FROM ${IMAGE}\nCOPY . /src\n`);
      writeFileSync(join(directory, ".dockerignore"), "node_modules\n*.log\n");
      writeTree(join(directory, "src"), 300, 50_000);
      writeTree(join(directory, "node_modules"), 4600, 50_000);
      return directory;
    };
    if (cached) {
      const directory = make("-cached");
      await runCommand(build(engine, directory));
      return () => timeCommand(build(engine, directory));
    }
    // Another root file in each round: a context that was never seen.
    let round = 0;
    return async () => {
      const directory = make(`-${round++}`);
      writeFileSync(join(directory, "src/round"), `${engine.name} ${round} ${Date.now()}`);
      const took = await timeCommand(build(engine, directory, "--no-cache"));
      rmSync(directory, { recursive: true });
      return took;
    };
  },
});

const tenSteps: Scenario = {
  name: "10 RUN steps of one echo, no cache",
  unit: "ms",
  goal: 1 / 5,
  rounds: 5,
  async prepare(engine, workspace) {
    const steps = Array.from({ length: 10 }, (_, n) => `RUN echo ${n}`).join("\n");
    const directory = project(workspace, engine, "steps", `FROM ${IMAGE}\n${steps}\n`);
    return () => timeCommand(build(engine, directory, "--no-cache"));
  },
};

const twoStages: Scenario = {
  name: "two independent stages that sleep 2 s",
  unit: "ms",
  goal: 2.15 / 2.4,
  rounds: 3,
  async prepare(engine, workspace) {
    const directory = project(
      workspace,
      engine,
      "stages",
      `FROM ${IMAGE} AS a\nRUN sleep 2; echo a > /a\nFROM ${IMAGE} AS b\nRUN sleep 2; echo b > /b\nFROM ${IMAGE}\nCOPY --from=a /a /\nCOPY --from=b /b /\n`,
    );
    return () => timeCommand(build(engine, directory, "--no-cache"));
  },
};

/** 300 MB in 5,300 files of text digits, each another one, by one process. */
export const WRITE_300_MB = `cd / && for d in $(seq 0 52); do mkdir -p out/d$d; done && awk 'BEGIN { srand(7); for (k = 0; k < 5700; k++) s = s sprintf("%010d", rand() * 1e10); for (i = 0; i < 5300; i++) { f = "/out/d" int(i / 100) "/f" i; printf "%d%s", i, s > f; close(f) } }'`;

const writes: Scenario = {
  name: "RUN writing 300 MB in 5,300 files",
  unit: "ms",
  goal: 1 / 3,
  rounds: 3,
  async prepare(engine, workspace) {
    const directory = project(workspace, engine, "writes", `FROM ${IMAGE}\nRUN ${WRITE_300_MB}\n`);
    return () => timeCommand(build(engine, directory, "--no-cache"));
  },
};

const copies: Scenario = {
  name: "COPY --from of it",
  unit: "ms",
  goal: 1 / 3,
  rounds: 3,
  async prepare(engine, workspace) {
    const directory = project(
      workspace,
      engine,
      "copies",
      `FROM ${IMAGE} AS files\nRUN ${WRITE_300_MB}\nFROM ${IMAGE}\nARG ROUND\nRUN echo "$ROUND" > /round\nCOPY --from=files /out /out-$ROUND\n`,
    );
    let round = 0;
    const next = () => build(engine, directory, "--build-arg", `ROUND=${engine.name}-${round++}`);
    await runCommand(next());
    return () => timeCommand(next());
  },
};

export const buildScenarios: readonly Scenario[] = [
  allCached,
  tenThousand("context of 10,000 files, all cached", 1 / 4, false),
  tenThousand("context of 10,000 files, one changed", 1 / 5, true),
  ignored("context of 245 MB, .dockerignore leaves 15 MB, first", false),
  ignored("context of 245 MB, .dockerignore leaves 15 MB, cached", true),
  tenSteps,
  twoStages,
  writes,
  copies,
];
