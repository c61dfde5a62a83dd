import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { engine, get, inside, links, neighbour, run, serve, tcp, until, useMachine } from "./network-fixture.ts";

useMachine();

describe("a container on the default bridge", () => {
  test("has lo, an address, a way out, and reaches its neighbour and the host", async () => {
    const networks = engine();
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    const two = await networks.connect({ containerId: "two", network: "default", ports: [] });
    const [endpoint] = one.endpoints;
    expect(endpoint?.networkName).toBe("bridge");
    expect(endpoint?.macAddress).toMatch(/^02:42:/);
    const shown = inside(one, "ip", "-o", "addr");
    expect(shown).toContain("127.0.0.1/8");
    expect(shown).toContain(`inet ${endpoint?.address}/${endpoint?.prefixLength} `);
    expect(shown).not.toContain("fe80");
    expect(inside(one, "ip", "route")).toContain(`default via ${endpoint?.gateway} dev eth0`);
    expect(inside(one, "ip", "link", "show", "eth0")).toContain(endpoint?.macAddress ?? "?");
    inside(one, "busybox", "ping", "-c1", "-W2", two.endpoints[0]?.address ?? "");
    inside(one, "busybox", "ping", "-c1", "-W2", endpoint?.gateway ?? "");
    expect(networks.sandbox("one")).toMatchObject(one);
    expect(networks.find("bridge")).toMatchObject({
      driver: "bridge",
      bridge: networks.bridge,
      gateway: endpoint?.gateway ?? "",
    });
    expect(readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim()).toBe("1");
  });

  test("goes out under the host's address", async () => {
    const networks = engine();
    const outside = neighbour();
    await serve({ namespacePath: outside.namespacePath, endpoints: [] }, "outside", 8081);
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [] });
    expect(await get(one, "198.51.100.2", 8081)).toBe("outside");
  });

  test("gets the address and the hardware address it asks for, once", async () => {
    const networks = engine({ bip: "10.213.7.1/24" });
    const request = { network: "bridge", ports: [], address: "10.213.7.77", macAddress: "02:00:00:00:00:77" };
    const one = await networks.connect({ ...request, containerId: "one" });
    expect(one.endpoints[0]).toMatchObject({ address: "10.213.7.77", gateway: "10.213.7.1", prefixLength: 24 });
    expect(inside(one, "ip", "link", "show", "eth0")).toContain("02:00:00:00:00:77");
    await expect(networks.connect({ ...request, containerId: "two" })).rejects.toThrow("10.213.7.77 is in use");
    await expect(networks.connect({ ...request, address: "10.9.9.9", containerId: "two" })).rejects.toThrow(
      "not in 10.213.7.0/24",
    );
    await expect(networks.connect({ ...request, network: "none", containerId: "two" })).rejects.toThrow(
      "nothing can be attached",
    );
    await expect(networks.connect({ ...request, network: "nope", containerId: "two" })).rejects.toThrow(
      "network nope not found",
    );
    expect(networks.sandbox("two")).toBeUndefined();
  });

  test("leaves nothing behind: with the last one bridge and table go as well", async () => {
    // An address of its own: another engine of this machine may choose ours while the bridge is away.
    const networks = engine({ bip: "10.214.8.1/24" });
    const one = await networks.connect({ containerId: "one", network: "bridge", ports: [tcp(80, 0)] });
    expect(links()).toContain(`${networks.bridge}:`);
    expect(run("nft", "list", "tables")).toContain(networks.bridge);
    await networks.release("one");
    await networks.release("one");
    expect(existsSync(one.namespacePath)).toBe(false);
    await until(() => !links().includes(networks.bridge), "the bridge is gone");
    await until(() => !run("nft", "list", "tables").includes(networks.bridge), "the table is gone");
    const two = await networks.connect({ containerId: "two", network: "bridge", ports: [] });
    expect(two.endpoints[0]?.address).toBe(one.endpoints[0]?.address ?? "");
  });

  test("sixteen at once all work", async () => {
    const networks = engine();
    const ids = Array.from({ length: 16 }, (_, index) => `c${index}`);
    const sandboxes = await Promise.all(
      ids.map((containerId) => networks.connect({ containerId, network: "bridge", ports: [tcp(80, 0)] })),
    );
    expect(new Set(sandboxes.map((each) => each.endpoints[0]?.address)).size).toBe(16);
    expect(new Set(sandboxes.map((each) => each.endpoints[0]?.ports[0]?.hostPort)).size).toBe(16);
    for (const sandbox of sandboxes)
      inside(sandbox, "busybox", "ping", "-c1", "-W2", sandbox.endpoints[0]?.gateway ?? "");
    await Promise.all(ids.map((id) => networks.release(id)));
  });
});

describe("a container without a network", () => {
  test("has lo and nothing else", async () => {
    const sandbox = await engine().isolate("alone");
    expect(inside(sandbox, "ip", "-o", "link").trim().split("\n").length).toBe(1);
    expect(inside(sandbox, "ip", "-o", "addr")).toContain("127.0.0.1/8");
    expect(() => inside(sandbox, "busybox", "ping", "-c1", "-W1", "192.0.2.2")).toThrow("unreachable");
  });
});

describe("engines beside each other", () => {
  test("have subnets, bridges and rules of their own, and publish to each other", async () => {
    const [one, two] = [engine(), engine()];
    const web = await one.connect({ containerId: "web", network: "bridge", ports: [tcp(80, 0)] });
    const client = await two.connect({ containerId: "web", network: "bridge", ports: [] });
    expect(one.find("bridge")?.subnet).not.toBe(two.find("bridge")?.subnet ?? "");
    await serve(web, "one");
    const port = web.endpoints[0]?.ports[0]?.hostPort;
    expect(await get(client, client.endpoints[0]?.gateway, port)).toBe("one");
    await one.reconcile(new Set());
    inside(client, "busybox", "ping", "-c1", "-W2", client.endpoints[0]?.gateway ?? "");
  });

  test("of the same name: the second is refused as long as the first uses it", async () => {
    const one = engine();
    await one.connect({ containerId: "c", network: "bridge", ports: [] });
    const two = engine({ bridge: one.bridge });
    await expect(two.connect({ containerId: "c", network: "bridge", ports: [] })).rejects.toThrow(
      `${one.bridge} belongs to another engine`,
    );
    await two.reconcile(new Set());
    expect(links()).toContain(`${one.bridge}:`);
  });
});
