import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BASE_IMAGE, baseRootTar } from "@slipway/testkit";
import { containerOf, type Fixture, idleSupervisor, openFixture, streamOf } from "./testing/engine-fixture.ts";

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture({ supervisor: idleSupervisor });
});
afterAll(() => fixture[Symbol.asyncDispose]());

const noSignal = new AbortController().signal;

async function creating(request: Parameters<Fixture["engine"]["containers"]["create"]>[0]): Promise<string> {
  return (await fixture.engine.containers.create(request)).id;
}

function eventsSince(count: number): string[] {
  return fixture.events.slice(count).map(({ type, action }) => `${type} ${action}`);
}

test("a created container is found by name, ID and beginning of its ID, and shows what was decided", async () => {
  const { containers } = fixture.engine;
  const id = await creating({ ...containerOf(["true"]), name: "first" });
  for (const name of ["first", "/first", id, id.slice(0, 10)]) {
    expect((await containers.inspect(name)).container.id).toBe(id);
  }
  const { container, status, imageName } = await containers.inspect(id);
  expect(status).toBe("Created");
  expect(imageName).toBe(BASE_IMAGE);
  expect(container.config.Hostname).toBe(id.slice(0, 12));
  expect(container).toMatchObject({ path: "true", args: [], state: { status: "created" } });
  await containers.remove(id, { force: false, volumes: true });
  await expect(containers.inspect(id)).rejects.toThrow(`No such container: ${id}`);
});

test("a name belongs to one container, until it is removed or renamed", async () => {
  const { containers } = fixture.engine;
  const id = await creating({ ...containerOf(["true"]), name: "twice" });
  await expect(containers.create({ ...containerOf(["true"]), name: "twice" })).rejects.toThrow(
    `Conflict. The container name "/twice" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
  await containers.rename("twice", "once");
  const other = await creating({ ...containerOf(["true"]), name: "twice" });
  await expect(containers.rename("once", "twice")).rejects.toThrow("already in use");
  for (const each of [id, other]) await containers.remove(each, { force: false, volumes: true });
});

test("what a container cannot be made of is refused, and nothing is left of the attempt", async () => {
  const { containers, volumes } = fixture.engine;
  const before = fixture.store.layers.writables().length;
  const refused = (request: Parameters<typeof containers.create>[0], complaint: string) =>
    expect(containers.create(request)).rejects.toThrow(complaint);
  await refused(containerOf(["true"], {}, { Image: "nonesuch" }), "No such image: nonesuch:latest");
  await refused(containerOf(["true"], { NetworkMode: "none/such" }), "network none/such not found");
  await refused(containerOf(["true"], { NetworkMode: "container:nonesuch" }), "No such container: nonesuch");
  await refused({ ...containerOf(["true"]), name: "a b" }, "Invalid container name");
  const missing = { Type: "bind", Source: "/nonesuch/at/all", Target: "/x" } as const;
  await refused(containerOf(["true"], { Binds: ["/anonymous"], Mounts: [missing] }), "bind source path does not exist");
  expect(fixture.store.layers.writables()).toHaveLength(before);
  expect(await volumes.list({})).toEqual([]);
});

test("a new volume takes over the image's content with its owners; one with content keeps its own", async () => {
  const { containers, volumes } = fixture.engine;
  const first = await creating(containerOf(["true"], { Binds: ["www:/var/www", "etc:/etc"] }));
  const { mountpoint } = await volumes.inspect("etc");
  expect(readFileSync(join(mountpoint, "passwd"), "utf8")).toContain("root:x:0:0");
  expect(statSync((await volumes.inspect("www")).mountpoint).uid).toBe(33);
  writeFileSync(join(mountpoint, "passwd"), "changed");
  const second = await creating(containerOf(["true"], { Binds: ["etc:/etc"] }));
  expect(readFileSync(join(mountpoint, "passwd"), "utf8")).toBe("changed");
  await expect(volumes.remove("etc", false)).rejects.toThrow(/^remove etc: volume is in use - \[/);
  for (const id of [first, second]) await containers.remove(id, { force: false, volumes: true });
  // Named volumes stay.
  expect((await volumes.list({ dangling: ["true"] })).map(({ name }) => name)).toEqual(["etc", "www"]);
  expect((await volumes.prune({})).removed).toEqual([]);
  expect((await volumes.prune({ all: ["1"] })).removed).toEqual(["etc", "www"]);
  expect(existsSync(mountpoint)).toBe(false);
  await expect(volumes.inspect("etc")).rejects.toThrow("get etc: no such volume");
});

test("anonymous volumes go with their container when asked, and are shared by --volumes-from", async () => {
  const { containers, volumes } = fixture.engine;
  const first = await creating(containerOf(["true"], {}, { Volumes: { "/data": {} } }));
  const second = await creating(containerOf(["true"], { VolumesFrom: [`${first}:ro`] }));
  const mount = (await containers.inspect(second)).container.mounts[0];
  expect(mount).toMatchObject({ type: "volume", destination: "/data", readWrite: false });
  await containers.remove(first, { force: false, volumes: true });
  expect(await volumes.list({})).toHaveLength(1);
  // Only the container that it was made for takes it along.
  await containers.remove(second, { force: false, volumes: true });
  expect((await volumes.prune({})).removed).toEqual([mount?.name ?? ""]);
});

test("the list knows Docker's filters", async () => {
  const { containers } = fixture.engine;
  const id = await creating({ ...containerOf(["true"], {}, { Labels: { tier: "front" } }), name: "listed" });
  const names = async (filters: Record<string, string[]>, all = true) =>
    (await containers.list({ all, size: false, filters })).map(({ container }) => container.name);
  for (const filters of [
    { name: ["list"] },
    { id: [id.slice(0, 6)] },
    { label: ["tier=front"] },
    { status: ["created"] },
    { ancestor: [BASE_IMAGE] },
    { network: ["bridge"] },
    { health: ["none"] },
    { "is-task": ["false"] },
  ]) {
    expect([filters, await names(filters)]).toEqual([filters, ["listed"]]);
  }
  for (const filters of [
    { name: ["other"] },
    { label: ["tier=back"] },
    { status: ["running"] },
    { exited: ["0"] },
    { ancestor: ["nonesuch"] },
    { volume: ["x"] },
    { publish: ["80"] },
    { "is-task": ["true"] },
  ]) {
    expect([filters, await names(filters)]).toEqual([filters, []]);
  }
  expect(await names({}, false)).toEqual([]);
  await expect(names({ nonsense: ["x"] })).rejects.toThrow("invalid filter 'nonsense'");
  await expect(names({ status: ["great"] })).rejects.toThrow("invalid filter 'status=great'");
  await containers.remove(id, { force: false, volumes: true });
});

test("an image that a container needs loses its names, not its content, and only by force", async () => {
  const { containers, images } = fixture.engine;
  const id = await creating(containerOf(["true"]));
  const { container } = await containers.inspect(id);
  await expect(images.remove(BASE_IMAGE, { force: false, noPrune: false })).rejects.toThrow(
    `conflict: unable to remove repository reference "${BASE_IMAGE}" (must force) - container ${id.slice(0, 12)} is using its referenced image`,
  );
  const short = container.imageId.slice("sha256:".length, "sha256:".length + 12);
  await expect(images.remove(short, { force: false, noPrune: false })).rejects.toThrow(
    `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container`,
  );
  expect(await images.remove(BASE_IMAGE, { force: true, noPrune: false })).toEqual([{ untagged: BASE_IMAGE }]);
  expect(
    (await images.list({ all: false, filters: { dangling: ["true"] } })).map(({ containers }) => containers),
  ).toEqual([1]);
  expect((await containers.inspect(id)).imageName).toBe(BASE_IMAGE);
  await images.tag(container.imageId, "slipway/base", undefined);
  await containers.remove(id, { force: false, volumes: true });
});

test("an image goes with its last name, and says so", async () => {
  const { images } = fixture.engine;
  const before = fixture.events.length;
  const id = await images.import(streamOf(baseRootTar()), {
    reference: "localhost:5000/made/here",
    message: "made",
    changes: ['CMD ["sh"]', "LABEL a=b"],
    signal: noSignal,
  });
  const image = await images.inspect(id);
  expect(image.config.config).toMatchObject({ Cmd: ["sh"], Labels: { a: "b" } });
  await images.tag(id, "second", "v1");
  expect(await images.history("second:v1")).toMatchObject([
    { id, comment: "made", tags: ["second:v1", "localhost:5000/made/here:latest"] },
  ]);
  const short = id.slice("sha256:".length, "sha256:".length + 12);
  await expect(images.remove(short, { force: false, noPrune: false })).rejects.toThrow(
    `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  );
  expect(await images.remove("second:v1", { force: false, noPrune: false })).toEqual([{ untagged: "second:v1" }]);
  expect(await images.remove("localhost:5000/made/here", { force: false, noPrune: false })).toEqual([
    { untagged: "localhost:5000/made/here:latest" },
    { deleted: id },
  ]);
  expect(eventsSince(before).filter((event) => event.startsWith("image"))).toEqual([
    "image import",
    "image tag",
    "image untag",
    "image untag",
    "image delete",
  ]);
  await expect(images.inspect(id)).rejects.toThrow("No such image");
});

test("an import of what is no tar is refused and leaves nothing", async () => {
  const { images } = fixture.engine;
  const before = (await images.list({ all: true, filters: {} })).length;
  const options = { message: "", changes: [], signal: noSignal };
  await expect(images.import(streamOf(Buffer.from("hello".repeat(500))), options)).rejects.toThrow();
  await expect(images.import(streamOf(baseRootTar()), { ...options, changes: ["RUN true"] })).rejects.toThrow(
    "RUN is not a valid change command",
  );
  expect((await images.list({ all: true, filters: {} })).length).toBe(before);
  expect(readdirSync(fixture.store.paths.ingest)).toEqual([]);
});

test("networks and the system are described", async () => {
  const { networks, system } = fixture.engine;
  expect((await networks.list({ driver: ["bridge"] })).map(({ name }) => name)).toEqual(["bridge"]);
  expect((await networks.inspect("bridge")).network.name).toBe("bridge");
  await expect(networks.inspect("bridges")).rejects.toThrow("network bridges not found");
  const info = await system.info();
  expect(info).toMatchObject({ containers: { running: 0, paused: 0 }, images: 1 });
  expect(info.id).toBe((await system.info()).id);
  const usage = await system.diskUsage();
  expect(usage.images[0]).toMatchObject({ containers: 0, sharedBytes: 0 });
  expect(usage.layersBytes).toBeGreaterThan(1_000_000);
});
