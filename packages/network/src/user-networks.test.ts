import { describe, expect, test } from "bun:test";
import { errorCode } from "@slipway/base";
import { NETWORK_OPTIONS } from "./index.ts";
import {
  type Engine,
  engine,
  fetchText,
  inside,
  links,
  neighbour,
  reaches,
  run,
  serve,
  tcp,
  useMachine,
} from "./network-fixture.ts";

useMachine();

async function failure(work: () => Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await work();
  } catch (error) {
    return { code: errorCode(error), message: error instanceof Error ? error.message : "" };
  }
  throw new Error("it did not fail");
}

function rules(networks: Engine): string {
  return run("nft", "list", "table", "inet", `slipway_${networks.bridge}`);
}

const base = { ports: [] } as const;

describe("networks", () => {
  test("are made with bridge, addresses and rules, listed, found by the beginning of the ID, and removed without a trace", async () => {
    const networks = engine();
    const made = await networks.create({
      name: "front",
      labels: { a: "b" },
      options: { foo: "bar" },
      attachable: true,
    });
    expect(made).toMatchObject({
      ...{ name: "front", driver: "bridge", internal: false, ipv6: false, attachable: true, predefined: false },
      ...{ labels: { a: "b" }, options: { foo: "bar" } },
    });
    const bridge = made.bridge ?? "";
    expect(bridge).toBe(`br-${made.id.slice(0, 12)}`);
    expect(run("ip", "-o", "-4", "addr", "show", "dev", bridge)).toContain(`${made.gateway}/`);
    expect(networks.list().map(({ name }) => name)).toEqual(["bridge", "host", "none", "front"]);
    expect(networks.find(made.id.slice(0, 10))?.name).toBe("front");
    expect(networks.find("nope")).toBeUndefined();
    expect(rules(networks)).toContain(bridge);
    expect((await networks.remove(made.id.slice(0, 12))).name).toBe("front");
    expect(links()).not.toContain(bridge);
    expect(run("nft", "list", "tables")).not.toContain(networks.bridge);
    expect(networks.find("front")).toBeUndefined();
  });

  test("in use cannot be removed, nor the predefined ones; prune takes what nobody uses", async () => {
    const networks = engine();
    for (const name of ["used", "free", "kept"]) await networks.create({ name });
    await networks.connect({ ...base, containerId: "c".repeat(64), network: "used", names: ["web"] });
    expect(await failure(() => networks.remove("used"))).toEqual({
      code: "forbidden",
      message: `error while removing network: network used has active endpoints (name:"web" id:"cccccccccccc")`,
    });
    expect(await failure(() => networks.remove("bridge"))).toEqual({
      code: "forbidden",
      message: "bridge is a pre-defined network and cannot be removed",
    });
    expect(await failure(() => networks.remove("frei"))).toMatchObject({ code: "not-found" });
    expect(networks.members("used").map(({ containerId }) => containerId[0])).toEqual(["c"]);
    const filter = ({ name }: { name: string }): boolean => name !== "kept";
    expect(networks.unused(filter).map(({ name }) => name)).toEqual(["free"]);
    expect((await networks.prune(filter)).map(({ name }) => name)).toEqual(["free"]);
    expect(networks.list().map(({ name }) => name)).toEqual(["bridge", "host", "none", "used", "kept"]);
  });

  test("that make no sense are refused in Docker's words, and leave nothing", async () => {
    const networks = engine();
    const cases: readonly (readonly [Parameters<Engine["create"]>[0], string, string])[] = [
      [{ name: " " }, "invalid", "invalid network name: name is empty"],
      [{ name: "a/b" }, "invalid", "invalid network name"],
      [{ name: "bridge" }, "forbidden", "operation is not permitted on predefined bridge network"],
      [{ name: "x", driver: "host" }, "forbidden", `only one instance of "host" network is allowed`],
      [{ name: "x", driver: "macvlan" }, "not-found", "could not find plugin macvlan in v1 plugin registry"],
      [{ name: "x", pools: [{ subnet: "10.250.0.0" }] }, "invalid", "invalid subnet 10.250.0.0"],
      [{ name: "x", pools: [{ subnet: "10.250.0.5/24" }] }, "invalid", "it should be 10.250.0.0/24"],
      [{ name: "x", pools: [{ subnet: "10.250.0.0/31" }] }, "invalid", "leaves no address"],
      [{ name: "x", pools: [{ subnet: "", gateway: "10.250.0.1" }] }, "invalid", "needs a subnet"],
      [
        { name: "x", pools: [{ subnet: "10.250.0.0/24", gateway: "10.251.0.1", range: "10.250.1.0/25" }] },
        "invalid",
        "invalid ip-range 10.250.1.0/25: parent subnet 10.250.0.0/24 doesn't contain ip-range\ninvalid gateway 10.251.0.1: parent subnet 10.250.0.0/24 doesn't contain this address",
      ],
      [
        { name: "x", pools: [{ subnet: "10.250.0.0/24", auxiliary: { a: "10.250.0.255" } }] },
        "invalid",
        "invalid auxiliary address 10.250.0.255",
      ],
      [
        { name: "x", pools: [{ subnet: "10.250.0.0/24", gateway: "fd00::1" }] },
        "invalid",
        "parent subnet is an IPv4 block",
      ],
      [
        { name: "x", pools: [{ subnet: "10.250.0.0/24" }, { subnet: "10.251.0.0/24" }] },
        "forbidden",
        "multiple subnets",
      ],
      [{ name: "x", options: { [NETWORK_OPTIONS.mtu]: "12" } }, "invalid", "from 68 to 65535"],
      [{ name: "x", options: { [NETWORK_OPTIONS.communication]: "maybe" } }, "invalid", "true or false"],
      [{ name: "x", options: { [NETWORK_OPTIONS.bridgeName]: `a" drop` } }, "invalid", "name of an interface"],
      [{ name: "x", options: { [NETWORK_OPTIONS.bridgeName]: networks.bridge } }, "forbidden", "same bridge name"],
      [{ name: "x", options: { [NETWORK_OPTIONS.bridgeName]: "lo" } }, "conflict", "belongs to another program"],
    ];
    for (const [request, code, message] of cases) {
      const seen = await failure(() => networks.create(request));
      expect(seen.message).toContain(message);
      expect(seen.code).toBe(code);
    }
    expect(networks.list().length).toBe(3);
    expect(run("nft", "list", "tables")).not.toContain(networks.bridge);
    await networks.create({ name: "x" });
    expect(await failure(() => networks.create({ name: "x" }))).toEqual({
      code: "already-exists",
      message: "network with name x already exists",
    });
  });

  test("that overlap say with whom: another network, a wire of the host", async () => {
    const networks = engine();
    neighbour();
    await networks.create({ name: "big", pools: [{ subnet: "10.252.0.0/16" }] });
    const inner = await failure(() => networks.create({ name: "x", pools: [{ subnet: "10.252.7.0/24" }] }));
    expect(inner.code).toBe("forbidden");
    expect(inner.message).toContain("Pool overlaps with other one on this address space");
    expect(inner.message).toContain("10.252.7.0/24 overlaps with 10.252.0.0/16 of network big");
    const wire = await failure(() => networks.create({ name: "x", pools: [{ subnet: "198.51.0.0/16" }] }));
    expect(wire.message).toContain("198.51.0.0/16 overlaps with the host's route to 198.51.100.0/24 on swn");
    const [one, two] = [await networks.create({ name: "one" }), await networks.create({ name: "two" })];
    expect(one.subnet).not.toBe(two.subnet ?? "");
  });

  test("give addresses from their range, keep gateway and reserved ones, and say when there are none left", async () => {
    const networks = engine();
    await networks.create({
      name: "small",
      pools: [
        {
          subnet: "10.253.0.0/24",
          range: "10.253.0.64/30",
          gateway: "10.253.0.65",
          auxiliary: { printer: "10.253.0.66" },
        },
      ],
    });
    const addresses: (string | undefined)[] = [];
    for (const containerId of ["a", "b"]) {
      addresses.push((await networks.connect({ ...base, containerId, network: "small" })).endpoints[0]?.address);
    }
    expect(addresses).toEqual(["10.253.0.64", "10.253.0.67"]);
    expect(await failure(() => networks.connect({ ...base, containerId: "c", network: "small" }))).toMatchObject({
      code: "exhausted",
    });
    const fixed = { ...base, containerId: "c", network: "small" };
    const wanted = await networks.connect({ ...fixed, address: "10.253.0.200" });
    expect(wanted.endpoints[0]).toMatchObject({ address: "10.253.0.200", gateway: "10.253.0.65" });
    expect(wanted.endpoints[0]?.macAddress).toBe("02:42:0a:fd:00:c8");
    const refused = (address: string) => failure(() => networks.connect({ ...fixed, containerId: "d", address }));
    expect((await refused("10.253.0.200")).message).toContain("Address already in use");
    expect((await refused("10.253.0.66")).message).toContain("printer");
    expect((await refused("10.254.0.1")).message).toContain("no configured subnet contains IP address 10.254.0.1");
    await networks.create({ name: "free" });
    const other = { ...base, containerId: "e", network: "free", address: "172.31.0.9" };
    expect((await failure(() => networks.connect(other))).message).toContain("user configured subnets");
  });

  test("have the name, the MTU and the interface names that are asked for", async () => {
    const networks = engine();
    const bridge = `${networks.bridge}x`.slice(0, 15);
    const options = {
      [NETWORK_OPTIONS.bridgeName]: bridge,
      [NETWORK_OPTIONS.mtu]: "9000",
      [NETWORK_OPTIONS.interfacePrefix]: "net",
    };
    const made = await networks.create({ name: "tuned", options });
    expect(made.bridge).toBe(bridge);
    const one = await networks.connect({ ...base, containerId: "one", network: "tuned" });
    expect(one.endpoints[0]?.interface).toBe("net0");
    expect(inside(one, "ip", "link", "show", "net0")).toContain("mtu 9000");
    expect(await failure(() => networks.create({ name: "again", options }))).toMatchObject({ code: "forbidden" });
  });
});

describe("a container on several networks", () => {
  test("is connected while it runs, by priority and alphabet, and its ports follow the way out", async () => {
    const networks = engine();
    for (const name of ["alpha", "middle", "zulu"]) await networks.create({ name });
    const start = await networks.connect({
      containerId: "c",
      network: "middle",
      ports: [tcp(80, 0), tcp(80, 0, "::")],
    });
    await serve(start, "here");
    const hostPort = start.endpoints[0]?.ports[0]?.hostPort;
    const page = async (): Promise<string[]> => [
      await fetchText(`http://127.0.0.1:${hostPort}/`),
      await fetchText(`http://[::1]:${hostPort}/`),
    ];
    const route = (): string | undefined => /default via (\S+)/.exec(inside(start, "ip", "route"))?.[1];
    expect(await page()).toEqual(["here", "here"]);
    const last = await networks.connectEndpoint({ ...base, containerId: "c", network: "zulu" });
    expect(last.endpoints.map((each) => each.interface)).toEqual(["eth0", "eth1"]);
    expect(route()).toBe(last.endpoints[0]?.gateway);
    const first = await networks.connectEndpoint({ ...base, containerId: "c", network: "alpha" });
    expect(route()).toBe(first.endpoints[2]?.gateway);
    expect(first.endpoints.map(({ ports }) => ports.length)).toEqual([0, 0, 2]);
    expect(await page()).toEqual(["here", "here"]);
    await networks.disconnectEndpoint("c", "zulu");
    const wanted = { ...base, containerId: "c", network: "zulu", gatewayPriority: 5, macAddress: "02:00:00:00:00:42" };
    const prior = await networks.connectEndpoint(wanted);
    expect(prior.endpoints[2]).toMatchObject({
      interface: "eth1",
      gatewayPriority: 5,
      macAddress: "02:00:00:00:00:42",
    });
    expect(route()).toBe(prior.endpoints[2]?.gateway);
    expect(await page()).toEqual(["here", "here"]);
    const twice = await failure(() => networks.connectEndpoint({ ...wanted, names: ["web"] }));
    expect(twice).toEqual({ code: "forbidden", message: "endpoint with name web already exists in network zulu" });
    const peer = await networks.connect({ ...base, containerId: "peer", network: "alpha" });
    expect(reaches(peer, prior.endpoints[1]?.address)).toBe(true);
    for (const name of ["zulu", "alpha"]) await networks.disconnectEndpoint("c", name);
    expect(await page()).toEqual(["here", "here"]);
    expect(inside(start, "ip", "-o", "link").trim().split("\n").length).toBe(2);
    const none = await networks.disconnectEndpoint("c", "middle");
    expect(none.endpoints).toEqual([]);
    expect(inside(start, "ip", "route").trim()).toBe("");
    await expect(fetchText(`http://127.0.0.1:${hostPort}/`)).rejects.toThrow();
    expect(await failure(() => networks.disconnectEndpoint("c", "middle"))).toEqual({
      code: "forbidden",
      message: "container c is not connected to network middle",
    });
    const back = await networks.connectEndpoint({
      containerId: "c",
      network: "middle",
      ports: [tcp(80, hostPort ?? 0)],
    });
    expect(back.endpoints[0]?.ports[0]?.hostPort).toBe(hostPort ?? 0);
    expect(await fetchText(`http://127.0.0.1:${hostPort}/`)).toBe("here");
    await networks.release("c");
    await networks.release("peer");
    expect((await networks.prune()).length).toBe(3);
  }, 30_000);

  test("an internal network is never the way out; who is on internal ones only publishes nothing", async () => {
    const networks = engine();
    await networks.create({ name: "a-secret", internal: true });
    await networks.create({ name: "b-open" });
    const one = await networks.connect({ containerId: "c", network: "a-secret", ports: [tcp(80, 0)] });
    const two = await networks.connectEndpoint({ containerId: "c", network: "b-open", ports: [tcp(80, 0)] });
    expect(two.endpoints.map(({ ports }) => ports.length)).toEqual([0, 1]);
    expect(inside(one, "ip", "route")).toContain(`default via ${two.endpoints[1]?.gateway} dev eth1`);
    const left = await networks.disconnectEndpoint("c", "b-open");
    expect(left.endpoints.flatMap(({ ports }) => ports)).toEqual([]);
    expect(inside(one, "ip", "route")).not.toContain("default");
  });

  test("a connect that fails changes nothing for what runs", async () => {
    const networks = engine();
    await networks.create({ name: "one", pools: [{ subnet: "10.248.0.0/24" }] });
    await networks.create({ name: "two", pools: [{ subnet: "10.247.0.0/24" }] });
    const start = await networks.connect({ containerId: "c", network: "two", ports: [] });
    const holder = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data() {} } });
    const bridge = networks.find("one")?.bridge ?? "";
    const shown = () => [
      inside(start, "ip", "route"),
      inside(start, "ip", "-o", "link"),
      run("ip", "link", "show", "master", bridge),
    ];
    const before = shown();
    const taken = await failure(() =>
      networks.connectEndpoint({ containerId: "c", network: "one", ports: [tcp(80, holder.port)] }),
    );
    expect(taken).toMatchObject({ code: "conflict" });
    expect(taken.message).toContain("port is already allocated");
    const wrong = { ...base, containerId: "c", network: "one", address: "10.1.1.1" };
    expect(await failure(() => networks.connectEndpoint(wrong))).toMatchObject({ code: "invalid" });
    const nowhere = { ...base, containerId: "x", network: "one" };
    expect(await failure(() => networks.connectEndpoint(nowhere))).toMatchObject({ code: "not-found" });
    expect(shown()).toEqual(before);
    expect(networks.sandbox("c")?.endpoints.length).toBe(1);
    holder.stop(true);
  });

  test("is changed by many at once without harm", async () => {
    const networks = engine();
    const names = ["n1", "n2", "n3", "n4", "n5"];
    await Promise.all(names.map((name) => networks.create({ name })));
    expect(new Set(networks.list().map(({ subnet }) => subnet)).size).toBe(7);
    const ids = Array.from({ length: 6 }, (_, index) => `c${index}`);
    await Promise.all(ids.map((containerId) => networks.connect({ containerId, network: "n1", ports: [tcp(80, 0)] })));
    const others = names.slice(1);
    await Promise.all(
      ids.flatMap((containerId) =>
        others.map((network) => networks.connectEndpoint({ ...base, containerId, network })),
      ),
    );
    for (const id of ids) expect(networks.sandbox(id)?.endpoints.length).toBe(5);
    const [one, two] = [networks.sandbox("c0"), networks.sandbox("c5")];
    for (let each = 0; each < 5; each++) {
      const peer = two?.endpoints.find(({ networkName }) => networkName === names[each]);
      if (one !== undefined) expect(reaches(one, peer?.address)).toBe(true);
    }
    await Promise.all([
      ...ids.flatMap((containerId) => others.map((network) => networks.disconnectEndpoint(containerId, network))),
      ...ids.map((containerId) => networks.release(containerId).catch(() => {})),
    ]).catch(() => {});
    await Promise.all(ids.map((id) => networks.release(id)));
    await Promise.all(names.map((name) => networks.remove(name)));
    expect(run("nft", "list", "tables")).not.toContain(networks.bridge);
  }, 30_000);
});

describe("ports of networks that bind to one address", () => {
  test("are published there if they name none", async () => {
    const networks = engine();
    await networks.create({ name: "local", options: { [NETWORK_OPTIONS.hostBinding]: "127.0.0.1" } });
    const one = await networks.connect({
      containerId: "one",
      network: "local",
      ports: [tcp(80, 0, ""), tcp(81, 0, "0.0.0.0")],
    });
    expect(one.endpoints[0]?.ports.map(({ hostAddress }) => hostAddress)).toEqual(["127.0.0.1", "0.0.0.0"]);
    const two = await networks.connect({ containerId: "two", network: "bridge", ports: [tcp(80, 0, "")] });
    expect(two.endpoints[0]?.ports.map(({ hostAddress }) => hostAddress)).toEqual(["0.0.0.0", "::"]);
  });
});

describe("an endpoint", () => {
  test("has the interface name, the settings and the link-local addresses that are asked for", async () => {
    const networks = engine();
    await networks.create({ name: "net" });
    const options = {
      "com.docker.network.endpoint.ifname": "wan",
      "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1",
    };
    const linkLocal = ["169.254.7.7", "fe80::7"];
    const web = await networks.connect({ containerId: "web", network: "net", ports: [], options, linkLocal });
    const addresses = inside(web, "ip", "-o", "addr", "show", "dev", "wan");
    expect(addresses).toContain("inet 169.254.7.7/16");
    expect(addresses).toContain("inet6 fe80::7/64");
    expect(inside(web, "cat", "/proc/sys/net/ipv4/conf/wan/log_martians")).toBe("1\n");
  });

  test("is refused what is not its own to choose", async () => {
    const networks = engine();
    await networks.create({ name: "net" });
    const connect = (extra: object) => networks.connect({ containerId: "web", network: "net", ports: [], ...extra });
    const sysctls = "com.docker.network.endpoint.sysctls";
    await expect(connect({ options: { [sysctls]: "net.ipv4.ip_forward=1" } })).rejects.toThrow("IFNAME");
    await expect(connect({ options: { [sysctls]: "net.ipv4.conf.IFNAME.../x=1" } })).rejects.toThrow("IFNAME");
    await expect(connect({ options: { "com.docker.network.endpoint.ifname": "../x" } })).rejects.toThrow("interface");
    await expect(connect({ linkLocal: ["10.0.0.1"] })).rejects.toThrow("invalid link local IP address: 10.0.0.1");
    expect(networks.sandbox("web")).toBeUndefined();
  });
});

test("the default network tells its gateway before its first container, and keeps it", async () => {
  const networks = engine();
  const planned = networks.find("bridge");
  expect(planned?.gateway).toMatch(/^\d+\.\d+\.\d+\.1$/);
  const web = await networks.connect({ containerId: "web", network: "bridge", ports: [] });
  expect(web.endpoints[0]?.gateway).toBe(planned?.gateway ?? "");
});
