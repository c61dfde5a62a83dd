import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { containerOf, type Fixture, mountsBelow, openFixture } from "./testing/engine-fixture.ts";
import { ScriptedSupervisor } from "./testing/scripted-supervisor.ts";

async function start(fixture: Fixture, ...request: Parameters<typeof containerOf>): Promise<string> {
  const { id } = await fixture.engine.containers.create(containerOf(...request));
  await fixture.engine.containers.start(id);
  return id;
}

async function statusOf(fixture: Fixture, id: string) {
  return (await fixture.engine.containers.inspect(id)).container.state;
}

/** Waits until the containers that a policy starts with the engine have been started. */
const settled = (fixture: Fixture): Promise<void> => fixture.engine.idle();

test("what runs on while no engine is there is found again, with its network and its mount", async () => {
  const supervisor = new ScriptedSupervisor();
  const first = await openFixture({ supervisor: () => supervisor });
  const id = await start(first, ["sleep"]);
  const address = (await first.engine.containers.inspect(id)).container.endpoints[0]?.address;
  await using second = await first.reopen();
  expect(await statusOf(second, id)).toMatchObject({ status: "running", pid: process.pid });
  expect((await second.engine.containers.inspect(id)).container.endpoints[0]?.address).toBe(address ?? "");
  expect(mountsBelow(second.root)).toHaveLength(1);
  await second.engine.containers.stop(id, { timeout: 0 });
  expect((await statusOf(second, id)).exitCode).toBe(143);
});

test("an end during the absence is recorded once, with its code; one that nobody saw counts as 255", async () => {
  const supervisor = new ScriptedSupervisor();
  const first = await openFixture({ supervisor: () => supervisor });
  const seen = await start(first, ["a"]);
  const unseen = await start(first, ["b"]);
  const restarted = await start(first, ["c"], { RestartPolicy: { Name: "on-failure" } });
  await first.engine.idle();
  await supervisor.close();
  await supervisor.exit(seen, 4);
  await supervisor.exit(restarted, 5);
  supervisor.running.delete(unseen);
  await using second = await first.reopen();
  await settled(second);
  expect(await statusOf(second, seen)).toMatchObject({ status: "exited", exitCode: 4 });
  expect(await statusOf(second, unseen)).toMatchObject({ status: "exited", exitCode: 255 });
  // Its old end is told again, and must not end the new run.
  expect((await statusOf(second, restarted)).status).toBe("running");
});

test("a series of failures is counted on over a restart of the engine, a reboot begins anew", async () => {
  const supervisor = new ScriptedSupervisor();
  const first = await openFixture({ supervisor: () => supervisor });
  const policy = { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } };
  const failing = await start(first, ["a"], policy);
  const unseen = await start(first, ["b"], policy);
  await supervisor.close();
  await supervisor.exit(failing, 5);
  supervisor.running.delete(unseen);
  await using second = await first.reopen();
  await settled(second);
  expect(await statusOf(second, failing)).toMatchObject({ status: "running", restartCount: 1 });
  expect(await statusOf(second, unseen)).toMatchObject({ status: "running", restartCount: 0 });
});

test("policies are applied when the engine starts, as Docker applies them", async () => {
  const supervisor = new ScriptedSupervisor();
  const first = await openFixture({ supervisor: () => supervisor });
  const policies = ["always", "unless-stopped", "no"];
  const stopped = new Map<string, string>();
  const fallen = new Map<string, string>();
  for (const Name of policies) {
    const [byHand, byFall] = [
      await start(first, ["x"], { RestartPolicy: { Name } }),
      await start(first, ["y"], { RestartPolicy: { Name } }),
    ];
    await first.engine.containers.stop(byHand, { timeout: 0 });
    stopped.set(Name, byHand);
    fallen.set(Name, byFall);
  }
  supervisor.running.clear();
  await using second = await first.reopen();
  await settled(second);
  const statuses = async (ids: Map<string, string>) =>
    Promise.all(policies.map(async (name) => (await statusOf(second, ids.get(name) ?? "")).status));
  expect(await statuses(stopped)).toEqual(["running", "exited", "exited"]);
  expect(await statuses(fallen)).toEqual(["running", "running", "exited"]);
});

test("leftovers of a crash are removed: mounts, bundles, files, layers, what removes itself, what nobody knows", async () => {
  const supervisor = new ScriptedSupervisor();
  const first = await openFixture({ supervisor: () => supervisor });
  const { store, execRoot } = first;
  const gone = await start(first, ["x"], { AutoRemove: true });
  const kept = await start(first, ["x"]);
  supervisor.running.clear();
  supervisor.running.add("f".repeat(64));
  mkdirSync(join(execRoot, "containers", "stray"));
  mkdirSync(join(store.paths.containers, "stray"));
  const lease = store.leases.open("test");
  const stray = await store.layers.prepare(undefined, lease, { persistent: true });
  lease.release();
  await using second = await first.reopen();
  await settled(second);
  await expect(second.engine.containers.inspect(gone)).rejects.toMatchObject({ code: "not-found" });
  expect((await statusOf(second, kept)).status).toBe("exited");
  expect(mountsBelow(second.root)).toEqual([]);
  expect(readdirSync(join(execRoot, "containers"))).toEqual([]);
  expect(readdirSync(second.store.paths.containers)).toEqual([kept]);
  expect(existsSync(stray.upper)).toBe(false);
  expect(second.store.layers.writables()).toHaveLength(1);
  expect(supervisor.running.size).toBe(0);
  // The supervisor may still start it, or hold what it has left.
  expect(supervisor.deleted).toContain("stray");
});

test("what was being started when the engine fell is ended: nobody was told that it runs", async () => {
  const supervisor = new ScriptedSupervisor();
  const first = await openFixture({ supervisor: () => supervisor });
  const { id } = await first.engine.containers.create(containerOf(["x"]));
  supervisor.running.add(id);
  mkdirSync(join(first.execRoot, "containers", id), { recursive: true });
  await using second = await first.reopen();
  await settled(second);
  expect((await statusOf(second, id)).status).toBe("created");
  expect(supervisor.running.size).toBe(0);
  expect(readdirSync(join(second.execRoot, "containers"))).toEqual([]);
  await second.engine.containers.start(id);
  expect((await statusOf(second, id)).status).toBe("running");
});

test("volumes that a crash left between row and directory: an empty one goes, one that holds something is there again", async () => {
  const first = await openFixture({ supervisor: () => new ScriptedSupervisor() });
  const { volumes } = first.store.paths;
  mkdirSync(join(volumes, "half-made", "_data"), { recursive: true });
  mkdirSync(join(volumes, "half-removed", "_data", "content"), { recursive: true });
  await using second = await first.reopen();
  const names = (await second.engine.volumes.list({})).map(({ name }) => name);
  expect(names).toEqual(["half-removed"]);
  expect(readdirSync(volumes)).toEqual(["half-removed"]);
});
