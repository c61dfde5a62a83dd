import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostConfig } from "../faces.ts";
import { containerOf, type Fixture, idleSupervisor, openFixture, streamOf } from "../testing/engine-fixture.ts";
import { Runner } from "../testing/runner.ts";

let fixture: Fixture;
const runner = new Runner(() => fixture);
beforeAll(async () => {
  fixture = await openFixture({ supervisor: idleSupervisor });
});
afterEach(async () => {
  await runner.clear();
  await fixture.engine.volumes.prune({ all: ["true"] });
});
afterAll(() => fixture[Symbol.asyncDispose]());

const make = (name: string, labels: Readonly<Record<string, string>> = {}) =>
  fixture.engine.volumes.create({ name, labels, options: {} });
const names = async (filters: Readonly<Record<string, readonly string[]>>) =>
  (await fixture.engine.volumes.list(filters)).map(({ name }) => name);

async function container(hostConfig: Parameters<typeof containerOf>[1], config = {}): Promise<string> {
  return (await fixture.engine.containers.create(containerOf(["true"], hostConfig, config))).id;
}

describe("a list", () => {
  test.each([
    [{}, ["alpha", "beta", "gamma"]],
    [{ name: ["et"] }, ["beta"]],
    [{ driver: ["local"] }, ["alpha", "beta", "gamma"]],
    [{ driver: ["nfs"] }, []],
    [{ label: ["kind"] }, ["alpha", "beta"]],
    [{ label: ["kind=db"] }, ["beta"]],
    [{ dangling: ["true"] }, ["alpha", "gamma"]],
    [{ dangling: ["false"] }, ["beta"]],
  ])("%j has %j", async (filters, expected) => {
    await make("alpha", { kind: "web" });
    await make("beta", { kind: "db" });
    await make("gamma");
    await container({ Binds: ["beta:/x"] });
    expect(await names(filters)).toEqual(expected);
  });

  test("refuses filters that do not exist", async () => {
    await expect(names({ color: ["red"] })).rejects.toMatchObject({ code: "invalid" });
  });
});

describe("prune", () => {
  test("takes anonymous volumes that nobody uses, with all the named too", async () => {
    await make("named");
    const id = await container({}, { Volumes: { "/anonymous": {} } });
    expect((await fixture.engine.volumes.prune({})).removed).toEqual([]);
    await fixture.engine.containers.remove(id, { force: false, volumes: false });
    expect((await fixture.engine.volumes.prune({})).removed).toHaveLength(1);
    expect(await names({})).toEqual(["named"]);
    expect((await fixture.engine.volumes.prune({ all: ["1"] })).removed).toEqual(["named"]);
  });

  test("is bounded by labels, and counts the bytes", async () => {
    const { mountpoint } = await make("old", { stage: "test" });
    await make("kept", { stage: "live" });
    writeFileSync(join(mountpoint, "file"), Buffer.alloc(10_000));
    const { removed, freedBytes } = await fixture.engine.volumes.prune({ all: ["1"], label: ["stage=test"] });
    expect(removed).toEqual(["old"]);
    expect(freedBytes).toBeGreaterThanOrEqual(10_000);
    expect((await fixture.engine.volumes.prune({ all: ["1"], "label!": ["stage=live"] })).removed).toEqual([]);
  });
});

describe("removal", () => {
  test("is refused while a container has the volume, with the container's ID", async () => {
    const id = await container({ Binds: ["busy:/x"] });
    await expect(fixture.engine.volumes.remove("busy", false)).rejects.toMatchObject({
      code: "conflict",
      message: `remove busy: volume is in use - [${id}]`,
    });
  });

  test("of what is not there is an error with the nearest name, unless forced", async () => {
    await make("database");
    await expect(fixture.engine.volumes.remove("databse", false)).rejects.toMatchObject({
      code: "not-found",
      message: "get databse: no such volume",
      hint: "Did you mean 'database'?",
    });
    await fixture.engine.volumes.remove("databse", true);
  });

  test("of a container with its volumes takes the anonymous ones, and those alone", async () => {
    const id = await container({ Binds: ["named:/n"] }, { Volumes: { "/a": {} } });
    expect(await names({})).toHaveLength(2);
    await fixture.engine.containers.remove(id, { force: false, volumes: true });
    expect(await names({})).toEqual(["named"]);
  });

  test("with its volumes leaves an anonymous one that another container took over", async () => {
    const donor = await container({}, { Volumes: { "/a": {} } });
    const heir = await container({ VolumesFrom: [donor] });
    await fixture.engine.containers.remove(donor, { force: false, volumes: true });
    expect(await names({})).toHaveLength(1);
    expect((await fixture.engine.containers.inspect(heir)).container.mounts).toMatchObject([{ destination: "/a" }]);
  });
});

test("an anonymous volume has the labels and options of its mount", async () => {
  const VolumeOptions = {
    Labels: { a: "b" },
    DriverConfig: { Options: { type: "tmpfs", device: "tmpfs" } },
    NoCopy: true,
  };
  await container({ Mounts: [{ Type: "volume", Target: "/x", VolumeOptions }] });
  expect(await fixture.engine.volumes.list({})).toMatchObject([
    { anonymous: true, labels: { a: "b" }, options: { type: "tmpfs", device: "tmpfs" } },
  ]);
});

describe("a new volume over a directory of the image", () => {
  let source: string;
  beforeAll(async () => {
    source = mkdtempSync(join(tmpdir(), "slipway-copy-up-"));
    const data = join(source, "data");
    mkdirSync(join(data, "sub"), { recursive: true });
    writeFileSync(join(data, "owned"), "content");
    chownSync(join(data, "owned"), 33, 44);
    chmodSync(join(data, "owned"), 0o4750);
    linkSync(join(data, "owned"), join(data, "sub/hard"));
    symlinkSync("../nowhere", join(data, "sub/soft"));
    chmodSync(join(data, "sub"), 0o1777);
    utimesSync(join(data, "owned"), 1_000_000, 1_000_000);
    chownSync(data, 5, 6);
    chmodSync(data, 0o710);
    const { stdout } = spawnSync("tar", ["-C", source, "-c", "."], { maxBuffer: 1 << 24 });
    const signal = new AbortController().signal;
    await fixture.engine.images.import(streamOf(stdout), { reference: "filled", message: "", changes: [], signal });
  });
  afterAll(() => rmSync(source, { recursive: true }));

  const create = async (hostConfig: HostConfig) =>
    void (await fixture.engine.containers.create({
      config: { Image: "filled", Cmd: ["x"] },
      hostConfig,
      networks: {},
    }));

  test("takes over what is there, with owners, modes, times and links", async () => {
    await create({ Binds: ["fresh:/data"] });
    const { mountpoint } = await fixture.engine.volumes.inspect("fresh");
    const at = (name: string) => lstatSync(join(mountpoint, name));
    expect(at(".")).toMatchObject({ uid: 5, gid: 6 });
    expect(at(".").mode & 0o7777).toBe(0o710);
    expect(at("owned")).toMatchObject({ uid: 33, gid: 44, nlink: 2, ino: at("sub/hard").ino, mtimeMs: 1e9 });
    expect(at("owned").mode & 0o7777).toBe(0o4750);
    expect(at("sub").mode & 0o7777).toBe(0o1777);
    expect(readlinkSync(join(mountpoint, "sub/soft"))).toBe("../nowhere");
  });

  test("stays empty with nocopy, and one that holds something is left alone", async () => {
    await create({ Binds: ["bare:/data:nocopy"] });
    expect(readdirSync((await fixture.engine.volumes.inspect("bare")).mountpoint)).toEqual([]);
    const { mountpoint } = await make("used");
    writeFileSync(join(mountpoint, "mine"), "");
    await create({ Binds: ["used:/data"] });
    expect(readdirSync(mountpoint)).toEqual(["mine"]);
  });
});
