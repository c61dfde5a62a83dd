// Run by testcontainers.interop.test.ts under Node: networks with aliases, and Redis by testcontainers' own module.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { RedisContainer } from "@testcontainers/redis";
import { createClient } from "redis";
import { GenericContainer, getContainerRuntimeClient, Network, Wait } from "testcontainers";

const IMAGE = "alpine:3.20";
const SLEEPER = ["sh", "-c", "trap exit TERM; while :; do sleep 0.05; done"];
const sleeper = () => new GenericContainer(IMAGE).withCommand(SLEEPER);
const folder = mkdtempSync(join(tmpdir(), "slipway-tc-redis-"));
after(() => rmSync(folder, { recursive: true }));

async function connected(container, use) {
  const client = createClient({ url: container.getConnectionUrl() });
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}

test("containers of a network reach one another by alias, name and address", async () => {
  await using network = await new Network().start();
  await using server = await new GenericContainer(IMAGE)
    .withName(`tc-server-${process.pid}`)
    .withNetwork(network)
    .withNetworkAliases("web", "other-name")
    .withExposedPorts(8080)
    .withCommand(["sh", "-c", "exec nc -ll -p 8080 -e echo hello"])
    .start();
  await using client = await sleeper().withNetwork(network).start();
  const names = ["web", "other-name", `tc-server-${process.pid}`, server.getIpAddress(network.getName())];
  for (const name of names) {
    const { output } = await client.exec(["sh", "-c", `nc ${name} 8080 </dev/null`]);
    assert.equal(output, "hello\n", name);
  }
  // With aliases it is created on the default network and connected then.
  assert.deepEqual(server.getNetworkNames().toSorted(), [network.getName(), "bridge"].toSorted());
  assert.deepEqual(client.getNetworkNames(), [network.getName()]);
  assert.equal(server.getNetworkId(network.getName()), network.getId());
});

test("containers of different networks do not see one another, also not by name", async () => {
  await using one = await new Network().start();
  await using two = await new Network().start();
  await using server = await sleeper().withNetwork(one).withNetworkAliases("web").start();
  await using client = await sleeper().withNetwork(two).start();
  assert.notEqual((await client.exec(["nslookup", "web"])).exitCode, 0);
  const address = server.getIpAddress(one.getName());
  assert.notEqual((await client.exec(["ping", "-c", "1", "-W", "1", address])).exitCode, 0);
});

test("host and none networks", async () => {
  await using host = await sleeper().withNetworkMode("host").start();
  assert.match((await host.exec(["ip", "-o", "link"])).output, /lo:/);
  await using none = await sleeper().withNetworkMode("none").start();
  assert.doesNotMatch((await none.exec(["ip", "-o", "link"])).output, /eth0/);
});

test("a stopped network is gone", async () => {
  const network = await new Network().start();
  const id = network.getId();
  await network.stop();
  const { network: client } = await getContainerRuntimeClient();
  await assert.rejects(client.getById(id).inspect(), /not found/);
});

test("Redis: set and get, a command in the container", async () => {
  await using container = await new RedisContainer("redis:7").start();
  await connected(container, async (client) => {
    await client.set("key", "val");
    assert.equal(await client.get("key"), "val");
  });
  assert.match(await container.executeCliCmd("info", ["clients"]), /connected_clients:1/);
});

test("Redis: a password, kept data over a restart", async () => {
  await using container = await new RedisContainer("redis:7").withPassword("test").withPersistence(folder).start();
  await connected(container, (client) => client.set("key", "val"));
  await container.restart();
  assert.equal(await connected(container, (client) => client.get("key")), "val");
});

test("Redis: initial data", async () => {
  const script = join(folder, "data.redis");
  writeFileSync(script, "SET greeting hello\nINCR import-count\n");
  await using container = await new RedisContainer("redis:7").withInitialData(script).start();
  await connected(container, async (client) => {
    assert.equal(await client.get("greeting"), "hello");
    assert.equal(await client.get("import-count"), "1");
  });
});

test("Redis in a network answers by its alias", async () => {
  await using network = await new Network().start();
  await using redis = await new RedisContainer("redis:7").withNetwork(network).withNetworkAliases("store").start();
  await using client = await new GenericContainer("redis:7")
    .withNetwork(network)
    .withCommand(SLEEPER)
    .withWaitStrategy(Wait.forSuccessfulCommand("redis-cli -h store ping"))
    .start();
  assert.equal((await client.exec(["redis-cli", "-h", "store", "ping"])).output, "PONG\n");
  assert.ok(redis.getId());
});
