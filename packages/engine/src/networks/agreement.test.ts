import { expect, test } from "bun:test";
import { containerOf, type Fixture, openFixture, realSupervisor } from "../testing/engine-fixture.ts";

async function networksOf(fixture: Fixture, id: string): Promise<Record<string, string>> {
  const { container } = await fixture.engine.containers.inspect(id);
  return Object.fromEntries(container.endpoints.map(({ networkName, address }) => [networkName, address]));
}

/** Writes a container's row as a daemon does just before it is killed. */
function define(fixture: Fixture, id: string, attachments: object): void {
  fixture.store.database
    .query("UPDATE engine_containers SET definition = json_set(definition, '$.attachments', json(?)) WHERE id = ?")
    .run(JSON.stringify(attachments), id);
}

test("after a crash between a container's row and the kernel the running container is on the networks of its row", async () => {
  const first = await openFixture({ supervisor: realSupervisor });
  await first.engine.networks.create({ name: "one" });
  await first.engine.networks.create({ name: "two" });
  const { id } = await first.engine.containers.create({
    ...containerOf(["sleep", "1000"], { NetworkMode: "one" }),
    networks: { one: {}, two: {} },
  });
  await first.engine.containers.start(id);
  const before = await networksOf(first, id);
  expect(Object.keys(before)).toEqual(["one", "two"]);
  define(first, id, { two: {}, bridge: {}, gone: {} });
  await using second = await first.reopen();
  const after = await networksOf(second, id);
  expect(Object.keys(after).sort()).toEqual(["bridge", "two"]);
  expect(after.two).toBe(before.two ?? "");
  expect(after.bridge).toMatch(/^\d+\./);
  // The network without members can go, and its name is not kept by the container.
  await second.engine.networks.remove("one");
  await second.engine.containers.remove(id, { force: true, volumes: true });
  await second.engine.idle();
  await second.engine.networks.prune({});
});

test("a row of the first engine, which knew one network, is read as before", async () => {
  const first = await openFixture({ supervisor: realSupervisor });
  const { id } = await first.engine.containers.create(containerOf(["sleep", "1000"]));
  first.store.database
    .query(
      `UPDATE engine_containers SET definition =
         json_set(json_remove(definition, '$.attachments'), '$.networks', json('{"default":{"mac":"02:42:00:00:00:09"}}'))`,
    )
    .run();
  await using second = await first.reopen();
  await second.engine.containers.start(id);
  const { container } = await second.engine.containers.inspect(id);
  expect(container.endpoints).toMatchObject([{ networkName: "bridge", macAddress: "02:42:00:00:00:09" }]);
});
