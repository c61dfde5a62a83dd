import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engines.ts";
import { runCommand, timeCommand } from "../measure.ts";
import type { Scenario } from "../scenario.ts";

/** Debian's docker-registry on loopback, where nothing is in the way but the engines. */
class Registry implements AsyncDisposable {
  readonly host: string;
  readonly #directory: string;
  readonly #process: Bun.Subprocess;

  private constructor(host: string, directory: string, process: Bun.Subprocess) {
    this.host = host;
    this.#directory = directory;
    this.#process = process;
  }

  static async start(workspace: string): Promise<Registry> {
    const program = "/usr/bin/docker-registry";
    if (!existsSync(program)) throw new Error("apt-get install docker-registry");
    const directory = mkdtempSync(join(workspace, "registry-"));
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = listener;
    listener.stop(true);
    const config = join(directory, "config.yml");
    const storage = `{filesystem: {rootdirectory: ${directory}/data}}`;
    writeFileSync(
      config,
      `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: ${storage}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
    );
    const child = Bun.spawn([program, "serve", config], { stdout: "ignore", stderr: "ignore" });
    const host = `localhost:${port}`;
    for (const deadline = performance.now() + 10_000; performance.now() < deadline; await Bun.sleep(10)) {
      if ((await fetch(`http://${host}/v2/`).catch(() => undefined))?.ok) break;
    }
    return new Registry(host, directory, child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function build(engine: Engine, workspace: string, name: string, lines: readonly string[]): Promise<void> {
  const directory = join(workspace, engine.name, "push");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "Dockerfile"), `${["FROM slipway/base", ...lines].join("\n")}\n`);
  await runCommand(engine.command("build", "-q", "-t", name, directory));
}

async function forget(engine: Engine, ...names: string[]): Promise<void> {
  await runCommand(engine.command("rmi", "-f", ...names));
  // Images of other scenarios that lost their name may have the same layers.
  await runCommand(engine.command("image", "prune", "-f"));
  await runCommand(engine.command("builder", "prune", "-a", "-f"));
}

/** Throws when layers of what is to be pulled are still here: then the pull would fetch nothing. */
async function expectForgotten(engine: Engine): Promise<void> {
  const { LayersSize } = (await engine.request("GET", "/system/df")) as { LayersSize: number };
  if (LayersSize > MOST_LEFT) throw new Error(`${engine.name} still has ${LayersSize} bytes of layers before a pull`);
}

/** The base image and what small images other scenarios leave. Bytes. */
const MOST_LEFT = 100_000_000;

/** What no compression makes smaller. */
const NOISE_300_MB = "mkdir /out && for i in $(seq 30); do head -c 10000000 /dev/urandom > /out/$i; done";
const BIG = "bench/pushed";

const push: Scenario = {
  name: "push of 300 MB to an empty registry",
  unit: "ms",
  goal: 1.2 / 3.5,
  rounds: 3,
  async prepare(engine, workspace) {
    await build(engine, workspace, BIG, [`RUN ${NOISE_300_MB}`]);
    return async () => {
      await using registry = await Registry.start(workspace);
      const name = `${registry.host}/big`;
      await runCommand(engine.command("tag", BIG, name));
      const time = await timeCommand(engine.command("push", "-q", name));
      await runCommand(engine.command("rmi", name));
      return time;
    };
  },
};

const pushChange: Scenario = {
  name: "push of 300 MB again after a change of the top layer",
  unit: "ms",
  goal: 1 / 2,
  rounds: 3,
  async prepare(engine, workspace) {
    let round = 0;
    return async () => {
      await using registry = await Registry.start(workspace);
      const name = `${registry.host}/changed`;
      const lines = [`RUN ${NOISE_300_MB}`];
      await build(engine, workspace, name, [...lines, "RUN echo first > /top"]);
      await runCommand(engine.command("push", "-q", name));
      await build(engine, workspace, name, [...lines, `RUN echo ${round++} > /top`]);
      const time = await timeCommand(engine.command("push", "-q", name));
      await runCommand(engine.command("rmi", name));
      return time;
    };
  },
};

function pull(what: string, goal: number, lines: readonly string[]): Scenario {
  const running = new Map<string, Registry>();
  return {
    name: `pull of ${what}`,
    unit: "ms",
    goal,
    rounds: 3,
    async prepare(engine, workspace) {
      const registry = await Registry.start(workspace);
      running.set(engine.name, registry);
      const name = `${registry.host}/pulled`;
      await build(engine, workspace, name, lines);
      await runCommand(engine.command("push", "-q", name));
      return async () => {
        await forget(engine, name, BIG).catch(() => forget(engine, name));
        await expectForgotten(engine);
        return await timeCommand(engine.command("pull", "-q", name));
      };
    },
    async clean(engine) {
      const registry = running.get(engine.name);
      if (registry === undefined) return;
      await forget(engine, `${registry.host}/pulled`);
      await registry[Symbol.asyncDispose]();
    },
  };
}

const layers = Array.from({ length: 40 }, (_, index) => `RUN head -c 25000000 /dev/urandom > /layer${index}`);

export const registryScenarios: readonly Scenario[] = [
  push,
  pushChange,
  pull("300 MB", 0.8 / 2.4, [`RUN ${NOISE_300_MB}`]),
  pull("40 layers of 25 MB each", 1 / 2, layers),
];
