import type { Engine } from "../engines.ts";
import { runCommand, timeCommand } from "../measure.ts";
import type { Scenario } from "../scenario.ts";

const IMAGE = "slipway/base";
const LABEL = "bench=list";

/** Makes containers until there are so many, running ones first. */
export async function fillContainers(engine: Engine, running: number, total: number): Promise<void> {
  const there = (await runCommand(engine.command("ps", "-aq"))).split("\n").filter(Boolean).length;
  const create = async (n: number): Promise<string> => {
    const config = {
      Image: IMAGE,
      Cmd: ["sleep", "100000"],
      Labels: { bench: "list" },
      HostConfig: { NetworkMode: "none" },
    };
    const made = (await engine.request("POST", `/containers/create?name=bench-list-${n}`, config)) as { Id: string };
    return made.Id;
  };
  for (let n = there; n < total; n++) {
    const id = await create(n);
    if (n < running) await engine.request("POST", `/containers/${id}/start`);
  }
}

async function empty(engine: Engine): Promise<void> {
  const ids = (await runCommand(engine.command("ps", "-aq", "--filter", `label=${LABEL}`))).split("\n").filter(Boolean);
  for (let n = 0; n < ids.length; n += 50) await runCommand(engine.command("rm", "-f", ...ids.slice(n, n + 50)));
}

const listing = (name: string, total: number, flags: readonly string[]): Scenario => ({
  name,
  unit: "ms",
  goal: 1 / 2,
  rounds: 15,
  async prepare(engine) {
    await fillContainers(engine, 3, total);
    return () => timeCommand(engine.command("ps", ...flags));
  },
});

/** From few to many: each adds to what the one before has made, the last takes all away. */
export const listScenarios: readonly Scenario[] = [
  listing("ps -a with 60 containers", 60, ["-a"]),
  listing("ps with 60 containers, 3 of them running", 60, []),
  listing("ps -a with 1,000 containers", 1000, ["-a"]),
  { ...listing("ps with 1,000 containers, 3 of them running", 1000, []), clean: empty },
];
