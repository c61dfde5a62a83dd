import { resolve } from "node:path";
import type { Engine } from "../engines.ts";
import { runCommand, timeCommand } from "../measure.ts";
import type { Scenario } from "../scenario.ts";

const IMAGE = "slipway/base";
const NETWORK = "bench-network";

const connect: Scenario = {
  name: "creating a network and connecting a container",
  unit: "ms",
  goal: 1 / 2,
  rounds: 9,
  async prepare(engine) {
    await runCommand(engine.command("run", "-d", "--name", "bench-connected", IMAGE, "sleep", "100000"));
    return async () => {
      const took =
        (await timeCommand(engine.command("network", "create", NETWORK))) +
        (await timeCommand(engine.command("network", "connect", NETWORK, "bench-connected")));
      await runCommand(engine.command("network", "disconnect", NETWORK, "bench-connected"));
      await runCommand(engine.command("network", "rm", NETWORK));
      return took;
    };
  },
  clean: (engine) => remove(engine, "bench-connected"),
};

const AT_ONCE = 50;
const names = Array.from({ length: AT_ONCE }, (_, n) => `bench-port-${n}`);

/** Host ports that the two engines do not share, although they are never used at the same moment. */
function firstPort(engine: Engine): number {
  return engine.name === "slipway" ? 21_000 : 22_000;
}

const fifty: Scenario = {
  name: "50 run -d at once, each with a published port",
  unit: "ms",
  goal: 1 / 4,
  rounds: 3,
  prepare: async (engine) => async () => {
    const began = performance.now();
    await Promise.all(
      names.map((name, n) => {
        const port = `127.0.0.1:${firstPort(engine) + n}:80`;
        return runCommand(engine.command("run", "-d", "--name", name, "-p", port, IMAGE, "sleep", "100000"));
      }),
    );
    const took = performance.now() - began;
    await remove(engine, ...names);
    return took;
  },
};

/** Made before, started by bare requests: no client takes part. */
const fiftyStarts: Scenario = {
  name: "50 starts at once by the API, each with a published port",
  unit: "ms",
  goal: 1 / 4,
  rounds: 3,
  prepare: async (engine) => async () => {
    for (const [n, name] of names.entries()) {
      await engine.request("POST", `/containers/create?name=${name}`, {
        ...{ Image: IMAGE, Cmd: ["sleep", "100000"], ExposedPorts: { "80/tcp": {} } },
        HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: `${firstPort(engine) + n}` }] } },
      });
    }
    const began = performance.now();
    await Promise.all(names.map((name) => engine.request("POST", `/containers/${name}/start`)));
    const took = performance.now() - began;
    await remove(engine, ...names);
    return took;
  },
};

/** Bytes of one transfer. */
const SENT = 4_000_000_000;
const SERVED = 5000;
const PROGRAM = resolve(import.meta.dir, "../throughput.py");

/**
 * The two ends are programs of the host that enter the containers' network namespaces: the way of a packet is that of a
 * container's own, and no image needs a program that is faster than the network.
 */
const inside = (pid: string, ...argv: string[]): string[] => ["nsenter", "-t", pid, "-n", "python3", PROGRAM, ...argv];

async function startSender(engine: Engine, ...flags: string[]): Promise<() => void> {
  await runCommand(engine.command("run", "-d", "--name", "bench-sender", ...flags, IMAGE, "sleep", "100000"));
  const pid = await inspected(engine, "bench-sender", "{{.State.Pid}}");
  const sender = Bun.spawn(inside(pid, "serve", String(SERVED), String(SENT)), { stdout: "pipe", stderr: "inherit" });
  await sender.stdout.getReader().read();
  return () => sender.kill();
}

const between: Scenario = {
  name: "4 GB between two containers of a bridge",
  unit: "ms",
  goal: 1,
  rounds: 7,
  async prepare(engine) {
    senders.set(engine.name, await startSender(engine));
    await runCommand(engine.command("run", "-d", "--name", "bench-receiver", IMAGE, "sleep", "100000"));
    const address = await inspected(engine, "bench-sender", "{{.NetworkSettings.IPAddress}}");
    const pid = await inspected(engine, "bench-receiver", "{{.State.Pid}}");
    const take = inside(pid, "take", address, String(SERVED), String(SENT));
    return async () => Number(await runCommand({ argv: take }));
  },
  async clean(engine) {
    senders.get(engine.name)?.();
    await remove(engine, "bench-sender", "bench-receiver");
  },
};

const senders = new Map<string, () => void>();

/** The host takes it from a container through its published port. */
const published = (name: string, hostOf: (engine: Engine) => Promise<string>): Scenario => ({
  name,
  unit: "ms",
  goal: 1,
  rounds: 7,
  async prepare(engine) {
    const port = String(firstPort(engine) + 500);
    senders.set(engine.name, await startSender(engine, "-p", `${port}:${SERVED}`));
    const take = ["python3", PROGRAM, "take", await hostOf(engine), port, String(SENT)];
    return async () => Number(await runCommand({ argv: take }));
  },
  async clean(engine) {
    senders.get(engine.name)?.();
    await remove(engine, "bench-sender");
  },
});

async function inspected(engine: Engine, container: string, format: string): Promise<string> {
  return (await runCommand(engine.command("inspect", "-f", format, container))).trim();
}

async function remove(engine: Engine, ...containers: string[]): Promise<void> {
  await runCommand(engine.command("rm", "-f", ...containers));
}

export const networkScenarios: readonly Scenario[] = [
  connect,
  fiftyStarts,
  fifty,
  between,
  published("4 GB through a published port, by loopback", async () => "127.0.0.1"),
  published("4 GB through a published port, by the bridge's address", (engine) =>
    inspected(engine, "bench-sender", "{{.NetworkSettings.Gateway}}"),
  ),
];
