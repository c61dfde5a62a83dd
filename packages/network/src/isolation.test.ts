import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { NETWORK_OPTIONS } from "./index.ts";
import {
  engine,
  fetchText,
  get,
  inside,
  neighbour,
  ping,
  reaches,
  run,
  serve,
  tcp,
  useMachine,
} from "./network-fixture.ts";

useMachine();

const base = { ports: [] } as const;

describe("between networks", () => {
  test("nothing passes, whatever a container tries; published ports do", async () => {
    const networks = engine();
    await networks.create({ name: "a" });
    await networks.create({ name: "b" });
    const one = await networks.connect({ ...base, containerId: "one", network: "a" });
    const two = await networks.connect({ containerId: "two", network: "b", ports: [tcp(80, 0)] });
    const twin = await networks.connect({ ...base, containerId: "twin", network: "b" });
    const old = await networks.connect({ ...base, containerId: "old", network: "bridge" });
    await serve(two, "two");
    const address = two.endpoints[0]?.address;
    expect(reaches(twin, address)).toBe(true);
    expect(reaches(one, one.endpoints[0]?.gateway)).toBe(true);
    expect(ping(one, address)).toBe(false);
    expect(ping(old, address)).toBe(false);
    expect(ping(two, old.endpoints[0]?.address)).toBe(false);
    expect(await get(one, address, 80)).toBe("");
    expect(await get(one, one.endpoints[0]?.gateway, two.endpoints[0]?.ports[0]?.hostPort)).toBe("two");
    // As root of its namespace: another address of the victim's network, and the bridge as its router.
    inside(one, "ip", "addr", "add", (address ?? "").replace(/\d+$/, "77/32"), "dev", "eth0");
    inside(
      one,
      "ip",
      "route",
      "add",
      `${address}/32`,
      "via",
      one.endpoints[0]?.gateway ?? "",
      "src",
      (address ?? "").replace(/\d+$/, "77"),
    );
    expect(ping(one, address)).toBe(false);
    expect(await get(one, address, 80)).toBe("");
    // It is the rule that stops it.
    run("nft", "flush", "chain", "inet", `slipway_${networks.bridge}`, "forward");
    inside(one, "ip", "route", "del", `${address}/32`);
    expect(reaches(one, address)).toBe(true);
  }, 20_000);

  test("an internal one has no way out, not through routes of its own, and none in", async () => {
    const networks = engine();
    const outside = neighbour();
    await serve({ namespacePath: outside.namespacePath, endpoints: [] }, "outside", 8082);
    await networks.create({ name: "secret", internal: true, ipv6: true });
    await networks.create({ name: "open" });
    const one = await networks.connect({ containerId: "one", network: "secret", ports: [tcp(80, 0)] });
    const two = await networks.connect({ ...base, containerId: "two", network: "secret" });
    const web = await networks.connect({ containerId: "web", network: "open", ports: [tcp(80, 0), tcp(80, 0, "::")] });
    await serve(web, "web");
    await serve(one, "inside");
    expect(one.endpoints[0]).toMatchObject({ gateway: "", ports: [] });
    expect(inside(one, "ip", "route")).not.toContain("default");
    expect(reaches(one, two.endpoints[0]?.address)).toBe(true);
    const gateway = networks.find("secret")?.gateway ?? "";
    expect(reaches(one, gateway)).toBe(true);
    inside(one, "ip", "route", "add", "default", "via", gateway);
    expect(ping(one, "198.51.100.2")).toBe(false);
    expect(await get(one, "198.51.100.2", 8082)).toBe("");
    expect(await get(one, web.endpoints[0]?.address, 80)).toBe("");
    expect(await get(one, gateway, web.endpoints[0]?.ports[0]?.hostPort)).toBe("");
    expect(await get(one, web.endpoints[0]?.gateway, web.endpoints[0]?.ports[0]?.hostPort)).toBe("");
    // Over IPv6 the port is a listener's on this host, which its own bridge is a part of.
    const hostPort = web.endpoints[0]?.ports[1]?.hostPort;
    expect(await fetchText(`http://[::1]:${hostPort}/`)).toBe("web");
    expect(await get(one, networks.find("secret")?.pools[1]?.gateway, hostPort)).toBe("");
    expect(await get(web, one.endpoints[0]?.address, 80)).toBe("");
    expect(await get(outside, one.endpoints[0]?.address, 80)).toBe("");
    expect(await fetchText(`http://${one.endpoints[0]?.address}/`)).toBe("inside");
  }, 30_000);

  test("neighbours of a network without communication reach the host and the outside, and not each other", async () => {
    const networks = engine();
    const outside = neighbour();
    await networks.create({ name: "hotel", options: { [NETWORK_OPTIONS.communication]: "false" } });
    const one = await networks.connect({ ...base, containerId: "one", network: "hotel" });
    const two = await networks.connect({ containerId: "two", network: "hotel", ports: [tcp(80, 0)] });
    await serve(two, "two");
    const address = two.endpoints[0]?.address ?? "";
    const { gateway = "" } = one.endpoints[0] ?? {};
    expect(reaches(one, gateway)).toBe(true);
    expect(reaches(one, "198.51.100.2")).toBe(true);
    expect(ping(one, address)).toBe(false);
    // Not by wire, then by way of the router?
    inside(one, "ip", "route", "add", `${address}/32`, "via", gateway);
    expect(ping(one, address)).toBe(false);
    expect(await get(one, gateway, two.endpoints[0]?.ports[0]?.hostPort)).toBe("two");
    expect(outside.hostAddress).toBe("198.51.100.1");
  }, 20_000);

  test("addresses leave as they are when the network does not masquerade", async () => {
    const networks = engine();
    const outside = neighbour();
    await networks.create({
      name: "plain",
      options: { [NETWORK_OPTIONS.masquerade]: "false" },
      pools: [{ subnet: "10.249.0.0/24" }],
    });
    const one = await networks.connect({ ...base, containerId: "one", network: "plain" });
    expect(reaches(one, "198.51.100.2")).toBe(true);
    Bun.spawnSync(["nsenter", `--net=${outside.namespacePath}`, "ip", "route", "del", "default"]);
    expect(ping(one, "198.51.100.2")).toBe(false);
  });
});

describe("IPv6", () => {
  test.skipIf(!existsSync("/proc/net/if_inet6"))(
    "is given, routed, isolated, masqueraded and published",
    async () => {
      const networks = engine();
      const outside = neighbour();
      run("ip", "-6", "addr", "add", "2001:db8:77::1/64", "dev", outside.wire, "nodad");
      run(
        "nsenter",
        `--net=${outside.namespacePath}`,
        "ip",
        "-6",
        "addr",
        "add",
        "2001:db8:77::2/64",
        "dev",
        "wire",
        "nodad",
      );
      const made = await networks.create({ name: "six", pools: [{ subnet: "fd00:aa:bb::/64" }] });
      expect(made.pools[1]).toEqual({ subnet: "fd00:aa:bb::/64", gateway: "fd00:aa:bb::1" });
      const chosen = await networks.create({ name: "chosen", ipv6: true });
      expect(chosen.pools[1]?.subnet).toMatch(/^fd[0-9a-f:]+\/64$/);
      const web = await networks.connect({
        containerId: "web",
        network: "six",
        ports: [tcp(80, 0), tcp(80, 0, "::")],
        ipv6Address: "fd00:aa:bb::80",
      });
      const peer = await networks.connect({ ...base, containerId: "peer", network: "six" });
      const other = await networks.connect({ ...base, containerId: "other", network: "chosen" });
      const address = web.endpoints[0]?.ipv6?.address ?? "";
      expect(web.endpoints[0]?.ipv6).toEqual({ address: "fd00:aa:bb::80", prefixLength: 64, gateway: "fd00:aa:bb::1" });
      expect(reaches(peer, address)).toBe(true);
      expect(reaches(peer, "fd00:aa:bb::1")).toBe(true);
      expect(reaches(peer, "2001:db8:77::2")).toBe(true);
      expect(ping(other, address)).toBe(false);
      await serve(web, "six");
      const hostPort = web.endpoints[0]?.ports[1]?.hostPort;
      expect(await fetchText(`http://[::1]:${hostPort}/`)).toBe("six");
      expect(await get(outside, "2001:db8:77::1", hostPort)).toBe("six");
      // By the kernel, not by our listener: it sees who asks.
      expect(run("nft", "list", "table", "inet", `slipway_${networks.bridge}`)).toContain(
        `tcp . ${hostPort} : fd00:aa:bb::80 . 80`,
      );
      expect(inside(web, "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra").trim()).toBe("0");
      expect(readFileSync(`/proc/sys/net/ipv6/conf/${made.bridge}/accept_ra`, "latin1").trim()).toBe("0");
      const refused = { ...base, containerId: "x", network: "chosen", ipv6Address: "fd00:aa:bb::9" };
      await expect(networks.connect(refused)).rejects.toThrow("user configured subnets");
      expect(run("ip", "-6", "route", "show", "default")).toContain("default");
    },
    20_000,
  );
});
