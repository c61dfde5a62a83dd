import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE_IMAGE, baseRootTar } from "@slipway/testkit";
import { containerOf, type Fixture, idleSupervisor, openFixture, streamOf } from "../testing/engine-fixture.ts";
import type { PruneStep } from "./prune-plan.ts";

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture({ supervisor: idleSupervisor });
});
afterAll(() => fixture[Symbol.asyncDispose]());

const ALL: readonly PruneStep[] = [
  { kind: "container", filters: {} },
  { kind: "network", filters: {} },
  { kind: "volume", filters: {} },
  { kind: "image", filters: { dangling: ["false"] } },
  { kind: "builder", all: true, filters: {} },
];

test("an image stays in the plan's eyes while its container is not part of the plan", async () => {
  const { prunes, containers } = fixture.engine;
  const { id } = await containers.create({ ...containerOf(["true"]), name: "keeps" });
  const plan = await prunes.plan([{ kind: "image", filters: { dangling: ["false"] } }]);
  expect(plan.items.map(({ name }) => name)).not.toContain(BASE_IMAGE);
  await containers.remove(id, { force: true, volumes: true });
});

test("the plan names what the prune calls then remove, also what only becomes free on the way, and changes nothing", async () => {
  const { prunes, containers, volumes, images } = fixture.engine;
  const tar = baseRootTar();
  const options = { reference: "used:1", message: "", changes: ["CMD x"], signal: new AbortController().signal };
  const image = await images.import(streamOf(tar), options);
  const request = containerOf(["true"]);
  const { id } = await containers.create({
    ...request,
    name: "old",
    config: { ...request.config, Image: "used:1" },
    hostConfig: { ...request.hostConfig, Mounts: [{ Type: "volume", Target: "/data" }] },
  });
  await volumes.create({ name: "named", labels: {}, options: {} });
  const [mount] = (await containers.inspect(id)).container.mounts;
  const anonymous = mount?.name ?? "";
  writeFileSync(join((await volumes.inspect(anonymous)).mountpoint, "file"), "12345");

  const before = fixture.events.length;
  const plan = await prunes.plan(ALL);
  expect(plan.items.map(({ kind, id }) => `${kind} ${id}`)).toEqual(
    expect.arrayContaining([`container ${id}`, `volume ${anonymous}`, `image ${image}`]),
  );
  expect(plan.items.some(({ id }) => id === "named")).toBe(false);
  expect(plan.items.find(({ kind }) => kind === "volume")?.bytes).toBe(5);
  expect(fixture.events.length).toBe(before);
  expect((await containers.inspect(id)).container.name).toBe("old");

  const freed: number[] = [];
  const removed: string[] = [];
  const noted = (report: { readonly removed: readonly unknown[]; readonly freedBytes: number }) => {
    freed.push(report.freedBytes);
    removed.push(...report.removed.map(String));
  };
  noted(await containers.prune({}));
  noted(await volumes.prune({}));
  const pruned = await images.prune({ dangling: ["false"] });
  noted({ removed: pruned.removed.flatMap(({ deleted }) => deleted ?? []), freedBytes: pruned.freedBytes });
  for (const item of plan.items) expect(removed).toContain(item.id);
  expect(freed.reduce((sum, bytes) => sum + bytes, 0)).toBe(plan.freedBytes);
});

test("an unknown filter is refused as the call would refuse it", async () => {
  const { prunes } = fixture.engine;
  await expect(prunes.plan([{ kind: "volume", filters: { nope: ["1"] } }])).rejects.toThrow("invalid filter 'nope'");
});
