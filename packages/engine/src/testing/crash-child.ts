import { Random } from "@slipway/testkit";
import { containerOf, type Fixture, openFixture, realSupervisor } from "./engine-fixture.ts";

/**
 * Does random things with containers until it is killed: `crash-child.ts ROOT EXEC_ROOT BRIDGE SEED`. It prints a line
 * when it begins.
 */
const [root = "", execRoot = "", bridge = "", seed = "0"] = process.argv.slice(2);
const random = new Random(Number(seed));
const fixture = await openFixture({ supervisor: realSupervisor, root, execRoot, bridge });
console.log("ready");
await Promise.all([play(fixture), play(fixture), play(fixture)]);

async function play({ engine }: Fixture): Promise<void> {
  const { containers, execs, volumes, prunes, trash } = engine;
  const some = async (): Promise<string> => {
    const all = await containers.list({ all: true, size: false, filters: {} });
    return all.length === 0 ? "none" : random.pick(all).container.id;
  };
  const actions: readonly (() => Promise<unknown>)[] = [
    async () => containers.start((await create(engine)).id),
    async () => containers.start((await create(engine)).id),
    async () => containers.start(await some()),
    async () => containers.stop(await some(), { timeout: 0 }),
    async () => containers.restart(await some(), { timeout: 0 }),
    async () => containers.kill(await some(), "KILL"),
    async () => containers.pause(await some()),
    async () => containers.unpause(await some()),
    async () => containers.remove(await some(), { force: true, volumes: true }),
    async () => containers.rename(await some(), `name${random.below(1000)}`),
    async () => execs.start(await execs.create(await some(), { Cmd: ["true"] }), { detach: true }),
    async () => volumes.prune({}),
    async () => prunes.run([{ kind: "volume", filters: { all: ["true"] } }], { trash: true }),
    async () => trash.undo(undefined),
  ];
  for (;;) {
    // Refusals are part of the game: a container may be gone, stopped or paused by now.
    await random
      .pick(actions)?.()
      .catch(() => {});
  }
}

function create(engine: Fixture["engine"]): Promise<{ readonly id: string }> {
  const command = random.pick([["true"], ["sleep", "1000"], ["sh", "-c", "echo x > /x; sleep 0.05; exit 3"]]);
  const policy = random.pick(["no", "no", "always", "on-failure", "unless-stopped"]);
  const network = random.pick(["none", "bridge", "host"]);
  return engine.containers.create(
    containerOf(command, {
      NetworkMode: network,
      RestartPolicy: { Name: policy },
      AutoRemove: policy === "no" && random.below(2) === 0,
      Binds: random.below(3) === 0 ? ["/anonymous", "named:/named"] : [],
    }),
  );
}
