import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { errorCode, errorMessage } from "@slipway/base";
import type { Container, EndpointSettings, HostConfig } from "../faces.ts";
import { containerOf, type Fixture, openFixture, realSupervisor } from "../testing/engine-fixture.ts";

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture({ supervisor: realSupervisor });
});
afterEach(async () => {
  const { containers, networks } = fixture.engine;
  for (const { container } of await containers.list({ all: true, size: false, filters: {} })) {
    await containers.remove(container.id, { force: true, volumes: true });
  }
  await fixture.engine.idle();
  await networks.prune({});
  expect(readdirSync(join(fixture.execRoot, "netns"))).toEqual([]);
});
afterAll(() => fixture[Symbol.asyncDispose]());

interface Wish {
  readonly name?: string;
  readonly networks?: Readonly<Record<string, EndpointSettings>>;
  readonly hostConfig?: HostConfig;
  readonly command?: readonly string[];
  readonly env?: readonly string[];
}

async function create({ name, networks = {}, hostConfig = {}, command, env = [] }: Wish): Promise<string> {
  const request = containerOf(command ?? ["sleep", "1000"], hostConfig, { Env: env });
  const { id } = await fixture.engine.containers.create({ ...request, networks, ...(name && { name }) });
  return id;
}

async function up(wish: Wish): Promise<string> {
  const id = await create(wish);
  await fixture.engine.containers.start(id);
  return id;
}

async function inspect(id: string): Promise<Container> {
  return (await fixture.engine.containers.inspect(id)).container;
}

async function endpoint(id: string, network: string) {
  return (await inspect(id)).endpoints.find(({ networkName }) => networkName === network);
}

/** What a command inside prints, both streams. */
async function inside(id: string, ...command: string[]): Promise<string> {
  const { execs } = fixture.engine;
  const exec = await execs.create(id, { Cmd: command, AttachStdout: true, AttachStderr: true });
  const session = await execs.start(exec, { detach: false });
  const parts: Uint8Array[] = [];
  for await (const { data } of session?.output ?? []) parts.push(data.slice());
  return Buffer.concat(parts).toString();
}

async function reaches(id: string, name: string): Promise<boolean> {
  return (await inside(id, "ping", "-c", "1", "-W", "2", name)).includes(" 1 packets received");
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return `${errorCode(error)}: ${errorMessage(error)}`;
  }
  throw new Error("it did not fail");
}

function actions(since: number): string[] {
  return fixture.events
    .slice(since)
    .filter(({ type }) => type === "network")
    .map(({ action, attributes }) => `${action} ${attributes.name ?? ""}`);
}

describe("a container on networks of the user's own", () => {
  test("is found by name, alias and host name, on each of several networks, with the addresses it asked for", async () => {
    const { networks } = fixture.engine;
    await networks.create({ name: "front", pools: [{ subnet: "10.233.1.0/24" }] });
    await networks.create({ name: "back" });
    const db = await up({
      name: "db",
      networks: { back: { aliases: ["database"] } },
      hostConfig: { NetworkMode: "back" },
    });
    const both = { front: { ipv4: "10.233.1.77", mac: "02:42:0a:00:00:07", gatewayPriority: 1 }, back: {} };
    const web = await up({ name: "web", networks: both, hostConfig: { NetworkMode: "back" } });
    expect((await inspect(web)).endpoints.map(({ networkName }) => networkName)).toEqual(["back", "front"]);
    expect(await endpoint(web, "front")).toMatchObject({ address: "10.233.1.77", macAddress: "02:42:0a:00:00:07" });
    for (const name of ["db", "database", db.slice(0, 12), "db.back"]) expect(await reaches(web, name)).toBe(true);
    expect(await reaches(db, "web")).toBe(true);
    expect(await inside(db, "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11");
    expect(await inside(web, "ip", "route")).toContain("default via 10.233.1.1");
    expect((await endpoint(db, "back"))?.dnsNames).toEqual(["db", "database", db.slice(0, 12)]);
    expect((await inspect(web)).namespacePath).toBe(join(fixture.execRoot, "netns", web));
    const { containers } = await networks.inspect("back");
    expect(containers.map(({ name }) => name).sort()).toEqual(["db", "web"]);
  });

  test("joins and leaves them while it runs: names, files, routes and events follow at once", async () => {
    const { networks } = fixture.engine;
    await networks.create({ name: "one" });
    const web = await up({ name: "web", networks: { one: {} }, hostConfig: { NetworkMode: "one" } });
    const lone = await up({ name: "lone" });
    expect(await inside(lone, "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11");
    const since = fixture.events.length;
    await networks.connect("one", "lone", { aliases: ["late"], links: ["web:partner"] });
    const address = (await endpoint(lone, "one"))?.address ?? "";
    expect(await inside(lone, "cat", "/etc/hosts")).toContain(`${address}\t${lone.slice(0, 12)}`);
    expect(await inside(lone, "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.11");
    expect(await reaches(web, "late")).toBe(true);
    expect(await reaches(lone, "partner")).toBe(true);
    expect(await failure(networks.connect("one", "lone", {}))).toBe(
      "forbidden: endpoint with name lone already exists in network one",
    );
    await networks.disconnect("one", "lone");
    expect(await inside(lone, "cat", "/etc/hosts")).not.toContain(`${address}\t`);
    expect(await inside(lone, "cat", "/etc/resolv.conf")).not.toContain("127.0.0.11");
    expect(await reaches(web, "late")).toBe(false);
    expect(await failure(networks.disconnect("one", "lone"))).toContain("is not connected to network one");
    expect(actions(since)).toEqual(["connect one", "disconnect one"]);
  });

  test("keeps what is changed while it does not run, for its next start", async () => {
    const { containers, networks } = fixture.engine;
    await networks.create({ name: "one" });
    const id = await create({ name: "later" });
    await networks.connect("one", id, { aliases: ["x"] });
    await networks.disconnect("bridge", id);
    expect((await inspect(id)).endpoints.map(({ networkName }) => networkName)).toEqual(["one"]);
    await containers.start(id);
    expect((await endpoint(id, "one"))?.address).not.toBe("");
    await containers.stop(id, { timeout: 0 });
    expect(await endpoint(id, "one")).toMatchObject({ address: "", endpointId: "" });
    await networks.disconnect("one", id);
    await containers.start(id);
    expect(await inside(id, "ls", "/sys/class/net")).toBe("lo\n");
  });

  test("is found by its new name after it was renamed", async () => {
    const { containers, networks } = fixture.engine;
    await networks.create({ name: "one" });
    const host = { hostConfig: { NetworkMode: "one" } };
    await up({ name: "before", ...host });
    const asker = await up({ name: "asker", ...host });
    await containers.rename("before", "after");
    expect(await reaches(asker, "after")).toBe(true);
    expect(await reaches(asker, "before")).toBe(false);
  });

  test("is renamed while the network of its ended process is released", async () => {
    const { containers, networks } = fixture.engine;
    await networks.create({ name: "one" });
    const id = await up({ name: "before", hostConfig: { NetworkMode: "one" } });
    await containers.stop(id, { timeout: 0 });
    await containers.rename("before", "after");
    expect((await inspect(id)).name).toBe("after");
  });

  test("has the same random port after a restart, in both families", async () => {
    const { containers } = fixture.engine;
    const hostConfig: HostConfig = { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "" }] } };
    const id = await up({ hostConfig });
    const { ports } = await inspect(id);
    const [first, second] = ports["80/tcp"] ?? [];
    expect([first?.HostIp, second?.HostIp]).toEqual(["0.0.0.0", "::"]);
    expect(first?.HostPort).toBe(second?.HostPort ?? "");
    await containers.restart(id, { timeout: 0 });
    expect((await inspect(id)).ports).toEqual(ports);
    await containers.stop(id, { timeout: 0 });
    await fixture.engine.idle();
    const hostPort = first?.HostPort ?? "";
    await up({ name: "thief", hostConfig: { PortBindings: { "81/tcp": [{ HostIp: "", HostPort: hostPort }] } } });
    await containers.start(id);
    expect((await inspect(id)).ports["80/tcp"]?.[0]?.HostPort).not.toBe(hostPort);
  });

  test("learns who has a port that is taken", async () => {
    const published = (hostPort: string): HostConfig => ({
      PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: hostPort }] },
    });
    const first = await up({ name: "holder", hostConfig: published("") });
    const hostPort = (await inspect(first)).ports["80/tcp"]?.[0]?.HostPort ?? "";
    const text = await failure(up({ name: "second", hostConfig: published(hostPort) }));
    expect(text).toContain(`port is already allocated by container holder (${first.slice(0, 12)})`);
  });
});

describe("links on the default network", () => {
  test("stand in the hosts file and the environment, and follow the other's address", async () => {
    const { containers } = fixture.engine;
    const request = containerOf(
      ["sleep", "1000"],
      {},
      { ExposedPorts: { "5432/tcp": {} }, Env: ["USER=me", "PATH=/bin"] },
    );
    const { id: db } = await containers.create({ ...request, name: "db" });
    await containers.start(db);
    const web = await up({ name: "web", hostConfig: { Links: ["db:my-db"] } });
    const address = (await endpoint(db, "bridge"))?.address ?? "";
    expect(await inside(web, "cat", "/etc/hosts")).toContain(`${address}\tmy-db ${db.slice(0, 12)} db\n`);
    const environment = (await inside(web, "env")).split("\n");
    for (const line of [
      `MY_DB_PORT=tcp://${address}:5432`,
      `MY_DB_PORT_5432_TCP_ADDR=${address}`,
      "MY_DB_NAME=/web/my-db",
      "MY_DB_ENV_USER=me",
    ]) {
      expect(environment).toContain(line);
    }
    expect((await inspect(web)).hostConfig.Links).toEqual(["/db:/web/my-db"]);
    expect((await inspect(db)).linkNames).toEqual(["/web/my-db"]);
    await containers.stop(db, { timeout: 0 });
    await fixture.engine.idle();
    await up({ name: "thief" });
    await containers.start(db);
    const moved = (await endpoint(db, "bridge"))?.address ?? "";
    expect(moved).not.toBe(address);
    const hosts = await inside(web, "cat", "/etc/hosts");
    expect(hosts).toContain(`${moved}\tmy-db`);
    expect(hosts).not.toContain(`${address}\t`);
    await containers.removeLink("web", "my-db");
    expect(await inside(web, "cat", "/etc/hosts")).not.toContain("my-db");
    expect(await failure(containers.removeLink("web", "my-db"))).toBe("not-found: No such link: /web/my-db");
  });

  test("to what does not run, or is not there, are refused", async () => {
    await create({ name: "idle" });
    const id = await create({ name: "web", hostConfig: { Links: ["idle"] } });
    expect(await failure(fixture.engine.containers.start(id))).toBe(
      "conflict: Cannot link to a non running container: /idle AS /web/idle",
    );
    expect(await failure(create({ hostConfig: { Links: ["nobody:x"] } }))).toContain(
      "could not get container for nobody",
    );
    expect(await failure(create({ hostConfig: { Links: ["idle"], NetworkMode: "host" } }))).toContain(
      "host type networking",
    );
  });
});

describe("what cannot be", () => {
  test.each<[string, Wish]>([
    ["not-found: network a/b not found", { hostConfig: { NetworkMode: "a/b" } }],
    ["not-found: network a\nb not found", { networks: { "a\nb": {} } }],
    [
      "invalid: user specified IP address is supported on user defined networks only",
      { networks: { bridge: { ipv4: "172.17.0.9" } } },
    ],
    ["invalid: network-scoped alias is supported only", { networks: { bridge: { aliases: ["x"] } } }],
    ["invalid: invalid IPv4 address: x", { hostConfig: { NetworkMode: "own" }, networks: { own: { ipv4: "x" } } }],
    ["invalid: container cannot be disconnected from host network", { networks: { own: {}, host: {} } }],
    [
      "invalid: container cannot be connected to multiple networks",
      { hostConfig: { NetworkMode: "none" }, networks: { own: {} } },
    ],
  ])("%s", async (text, wish) => {
    await fixture.engine.networks.create({ name: "own" });
    expect(await failure(create(wish))).toContain(text);
  });

  test("containers with the host's network, or none, or another's, join no other", async () => {
    const { networks } = fixture.engine;
    await networks.create({ name: "own" });
    await up({ name: "host", hostConfig: { NetworkMode: "host" } });
    await create({ name: "none", hostConfig: { NetworkMode: "none" } });
    await create({ name: "guest", hostConfig: { NetworkMode: "container:host" } });
    expect(await failure(networks.connect("own", "host", {}))).toContain("host network");
    expect(await failure(networks.connect("own", "none", {}))).toContain("private (none) mode");
    expect(await failure(networks.connect("own", "guest", {}))).toContain("sharing network namespace");
    expect(await failure(networks.disconnect("host", "host"))).toContain("host network");
    expect(await failure(networks.connect("nope", "host", {}))).toBe("not-found: network nope not found");
    expect(await failure(networks.connect("own", "nope", {}))).toBe("not-found: No such container: nope");
  });

  test("a network may be made after the container, but before its start", async () => {
    const { containers, networks } = fixture.engine;
    const id = await create({
      name: "early",
      hostConfig: { NetworkMode: "later" },
      networks: { later: { aliases: ["a"] } },
    });
    expect(await failure(containers.start(id))).toBe("not-found: network later not found");
    const { state } = await inspect(id);
    expect([state.status, state.exitCode, state.error]).toEqual(["created", 128, "network later not found"]);
    const { id: networkId } = await networks.create({ name: "later" });
    await containers.start(id);
    expect(await endpoint(id, "later")).toMatchObject({ networkId, settings: { aliases: ["a"] } });
    // By its ID, which is known only afterwards.
    await containers.remove(id, { force: true, volumes: true });
    await fixture.engine.idle();
    const other = await create({ hostConfig: { NetworkMode: networkId.slice(0, 12) } });
    await networks.remove("later");
    expect(await failure(containers.start(other))).toBe("not-found: network later not found");
  });

  test("what leaves none may join others", async () => {
    const { networks } = fixture.engine;
    await networks.create({ name: "own" });
    const since = fixture.events.length;
    const id = await up({ name: "alone", hostConfig: { NetworkMode: "none" } });
    const [before] = (await inspect(id)).endpoints;
    expect(before).toMatchObject({ networkName: "none", endpointId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    await networks.disconnect("none", id);
    expect((await inspect(id)).endpoints).toEqual([]);
    await networks.connect("own", id, {});
    expect(await inside(id, "ls", "/sys/class/net")).toBe("eth0\nlo\n");
    await fixture.engine.containers.restart(id, { timeout: 0 });
    expect((await inspect(id)).endpoints.map(({ networkName }) => networkName)).toEqual(["own"]);
    expect(actions(since).slice(0, 3)).toEqual(["connect none", "disconnect none", "connect own"]);
  });

  test("containers on the host's network are told of, and listed there", async () => {
    const since = fixture.events.length;
    const id = await up({ name: "open", hostConfig: { NetworkMode: "host" } });
    const [endpoint] = (await inspect(id)).endpoints;
    expect(endpoint?.endpointId).toHaveLength(64);
    const { containers } = await fixture.engine.networks.inspect("host");
    expect(containers.map((each) => each.endpoints[0]?.endpointId)).toEqual([endpoint?.endpointId]);
    await fixture.engine.containers.remove(id, { force: true, volumes: true });
    await fixture.engine.idle();
    expect(actions(since)).toEqual(["connect host", "disconnect host"]);
  });

  test("an address that is taken leaves a running container as it was", async () => {
    const { networks } = fixture.engine;
    await networks.create({ name: "own", pools: [{ subnet: "10.233.2.0/24" }] });
    await up({ hostConfig: { NetworkMode: "own" }, networks: { own: { ipv4: "10.233.2.9" } } });
    const id = await up({ name: "late" });
    expect(await failure(networks.connect("own", id, { ipv4: "10.233.2.9" }))).toContain("Address already in use");
    expect((await inspect(id)).endpoints.map(({ networkName }) => networkName)).toEqual(["bridge"]);
    await networks.connect("own", id, {});
  });
});

describe("lists and prune", () => {
  test("know names, labels, types and what nobody uses", async () => {
    const { networks } = fixture.engine;
    await networks.create({ name: "used", labels: { a: "1" } });
    await networks.create({ name: "free", labels: { a: "2" } });
    await up({ hostConfig: { NetworkMode: "used" } });
    const names = async (filters: Record<string, string[]>) => (await networks.list(filters)).map(({ name }) => name);
    expect(await names({ type: ["custom"] })).toEqual(["used", "free"]);
    expect(await names({ type: ["builtin"] })).toEqual(["bridge", "host", "none"]);
    expect(await names({ dangling: ["true"] })).toEqual(["free"]);
    expect(await names({ label: ["a=1"] })).toEqual(["used"]);
    expect(await names({ name: ["^us"] })).toEqual(["used"]);
    expect(await names({ driver: ["null"] })).toEqual(["none"]);
    expect(await failure(networks.list({ type: ["x"] }))).toContain("invalid filter: 'type'='x'");
    expect(await failure(networks.remove("used"))).toContain("has active endpoints");
    expect(await networks.prune({ label: ["a=1"] })).toEqual({ removed: [] });
    expect(await networks.prune({ "label!": ["a=2"] })).toEqual({ removed: [] });
    expect(await networks.prune({ until: ["1h"] })).toEqual({ removed: [] });
    const since = fixture.events.length;
    expect(await networks.prune({})).toEqual({ removed: ["free"] });
    expect(actions(since)).toEqual(["destroy free", "prune "]);
    const { containers } = fixture.engine;
    const on = await containers.list({ all: true, size: false, filters: { network: ["used"] } });
    expect(on).toHaveLength(1);
  });
});
