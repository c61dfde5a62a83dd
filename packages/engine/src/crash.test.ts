import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkInvariants } from "@slipway/store";
import { Random } from "@slipway/testkit";
import { type Fixture, mountsBelow, openFixture, realSupervisor } from "./testing/engine-fixture.ts";

const ROUNDS = Number(process.env.SLIPWAY_CRASH_ROUNDS ?? 6);
const CHILD = join(import.meta.dir, "testing/crash-child.ts");

/** Everything that must hold between database, supervisor, mounts, namespaces and files once the engine has been restored. */
async function problemsOf({ engine, store, root, execRoot }: Fixture): Promise<string[]> {
  const problems = await checkInvariants(store);
  const items = await engine.containers.list({ all: true, size: false, filters: {} });
  const alive = items.filter(({ container }) => container.state.pid > 0).map(({ container }) => container);
  const compare = (what: string, found: readonly string[], wanted: readonly string[]): void => {
    const [a, b] = [[...found].sort().join(" "), [...wanted].sort().join(" ")];
    if (a !== b) problems.push(`${what}: there are [${a}], there should be [${b}]`);
  };
  for (const { id, state } of alive) if (!existsSync(`/proc/${state.pid}`)) problems.push(`${id} has no process`);
  compare(
    "mounts",
    mountsBelow(root),
    alive.map(({ layers }) => layers.merged),
  );
  compare(
    "namespaces",
    readdirSync(join(execRoot, "netns")),
    alive.filter(({ hostConfig }) => hostConfig.NetworkMode !== "host").map(({ id }) => id),
  );
  compare(
    "bundles",
    readdirSync(join(execRoot, "containers")),
    alive.map(({ id }) => id),
  );
  const ids = new Set(items.map(({ container }) => container.id));
  for (const id of readdirSync(store.paths.containers)) if (!ids.has(id)) problems.push(`files of ${id} are left`);
  compare(
    "writable layers",
    store.layers.writables().map(({ merged }) => merged),
    items.map(({ container }) => container.layers.merged),
  );
  return problems;
}

/** A container may end just while it is looked at, and is being cleaned up then. */
async function settledProblems(fixture: Fixture): Promise<string[]> {
  for (let attempt = 0; ; attempt++) {
    await fixture.engine.idle();
    const problems = await problemsOf(fixture);
    if (problems.length === 0 || attempt === 20) return problems;
    await Bun.sleep(50);
  }
}

test(`after ${ROUNDS} kills in the middle of everything, each next start finds and makes everything whole`, async () => {
  const random = new Random(Number(process.env.SLIPWAY_CRASH_SEED ?? 1));
  const root = mkdtempSync(join(tmpdir(), "slipway-engine-"));
  const execRoot = mkdtempSync(join(tmpdir(), "slipway-exec-"));
  const bridge = `slwc${process.pid % 100_000}`;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const seed = random.below(1_000_000);
      const child = Bun.spawn([process.execPath, CHILD, root, execRoot, bridge, String(seed)], { stdout: "pipe" });
      const { value } = await child.stdout.getReader().read();
      expect(Buffer.from(value ?? []).toString()).toBe("ready\n");
      await Bun.sleep(50 + random.below(400));
      child.kill("SIGKILL");
      await child.exited;
      const fixture = await openFixture({ supervisor: realSupervisor, root, execRoot, bridge });
      const problems = await settledProblems(fixture);
      await fixture.close();
      expect([round, seed, problems]).toEqual([round, seed, []]);
    }
  } finally {
    const last = await openFixture({ supervisor: realSupervisor, root, execRoot, bridge });
    await last[Symbol.asyncDispose]();
  }
}, 120_000);
