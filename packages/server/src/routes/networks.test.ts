import { describe, expect, test } from "bun:test";
import { SlipwayError } from "@slipway/base";
import type { CreateNetwork, NetworkInfo } from "@slipway/network";
import type { ContainerEndpoint, EndpointSettings } from "../backend.ts";
import { containerDocument } from "../shapes/container.ts";
import { fakeBackends, someContainer } from "../testing/fake-backends.ts";
import { withServer } from "../testing/with-server.ts";

const NETWORK: NetworkInfo = {
  id: "1".repeat(64),
  name: "back",
  driver: "bridge",
  bridge: "br-111111111111",
  subnet: "10.1.0.0/24",
  gateway: "10.1.0.1",
  pools: [
    { subnet: "10.1.0.0/24", gateway: "10.1.0.1", range: "10.1.0.128/25", auxiliary: { router: "10.1.0.9" } },
    { subnet: "fd00:1::/64", gateway: "fd00:1::1" },
  ],
  ipv6: true,
  created: 1_700_000_000_000,
  internal: false,
  attachable: true,
  labels: { a: "b" },
  options: { "com.docker.network.driver.mtu": "1400" },
  predefined: false,
};

const ENDPOINT: ContainerEndpoint = {
  networkName: "back",
  networkId: NETWORK.id,
  endpointId: "e".repeat(64),
  address: "10.1.0.2",
  prefixLength: 24,
  gateway: "10.1.0.1",
  ipv6: { address: "fd00:1::2", prefixLength: 64, gateway: "fd00:1::1" },
  macAddress: "02:42:0a:01:00:02",
  settings: { aliases: ["db"], links: ["web:w"], ipv4: "10.1.0.2", gatewayPriority: 3, driverOptions: { a: "b" } },
  dnsNames: ["web", "db", "cccccccccccc"],
};

const POST = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

async function created(body: unknown): Promise<CreateNetwork> {
  let seen: CreateNetwork | undefined;
  const create = async (request: CreateNetwork): Promise<NetworkInfo> => {
    seen = request;
    return NETWORK;
  };
  await withServer(fakeBackends({ networks: { create } }), async ({ request }) => {
    const response = await request("/networks/create", POST(body));
    const document = (await response.json()) as { message?: string };
    if (response.status !== 201) throw new Error(`${response.status} ${document.message}`);
    expect<unknown>(document).toEqual({ Id: NETWORK.id, Warning: "" });
  });
  if (seen === undefined) throw new Error("create was not called");
  return seen;
}

describe("creating a network", () => {
  test("what the docker CLI sends arrives typed", async () => {
    const request = await created({
      Name: "back",
      CheckDuplicate: true,
      Driver: "bridge",
      Scope: "",
      EnableIPv6: true,
      IPAM: {
        Driver: "default",
        Options: {},
        Config: [
          {
            Subnet: "10.1.0.0/24",
            IPRange: "10.1.0.128/25",
            Gateway: "10.1.0.1",
            AuxiliaryAddresses: { r: "10.1.0.9" },
          },
          {},
        ],
      },
      Internal: true,
      Attachable: true,
      Ingress: false,
      ConfigOnly: false,
      ConfigFrom: null,
      Options: { "com.docker.network.driver.mtu": "1400" },
      Labels: { a: "b" },
    });
    expect(request).toEqual({
      name: "back",
      driver: "bridge",
      ipv6: true,
      internal: true,
      attachable: true,
      options: { "com.docker.network.driver.mtu": "1400" },
      labels: { a: "b" },
      pools: [{ subnet: "10.1.0.0/24", range: "10.1.0.128/25", gateway: "10.1.0.1", auxiliary: { r: "10.1.0.9" } }],
    });
    expect(await created({ Name: "x" })).toEqual({ name: "x", pools: [], labels: {}, options: {} });
  });

  test.each([
    [{ Name: "x", Driver: "overlay" }, "503 This node is not a swarm manager"],
    [{ Name: "x", Scope: "swarm" }, "503 This node is not a swarm manager"],
    [{ Name: "x", Ingress: true }, "503 This node is not a swarm manager"],
    [{ Name: "x", ConfigOnly: true }, "501 networks that only hold a configuration"],
    [{ Name: "x", ConfigFrom: { Network: "y" } }, "501 networks that only hold a configuration"],
    [{ Name: "x", EnableIPv4: false }, "501 networks without IPv4"],
    [{ Name: "x", IPAM: { Driver: "dhcp" } }, "404 could not find plugin dhcp"],
    [{ Name: 7 }, "400 request body: Name: expected a string"],
    [{ Name: "x", IPAM: { Config: {} } }, "400 request body: IPAM: Config: expected a list"],
  ])("%j is refused", async (body, text) => {
    await expect(created(body)).rejects.toThrow(text);
  });
});

describe("documents", () => {
  test("a network shows its blocks and who is on it; fields are those of the client's version", async () => {
    const inspect = async () => ({
      network: NETWORK,
      containers: [someContainer({ endpoints: [ENDPOINT] }).container],
    });
    await withServer(fakeBackends({ networks: { inspect, list: async () => [NETWORK] } }), async ({ request }) => {
      const document = (await (await request("/v1.51/networks/back")).json()) as Record<string, unknown>;
      expect(document).toMatchObject({
        Name: "back",
        Scope: "local",
        EnableIPv4: true,
        EnableIPv6: true,
        Attachable: true,
        IPAM: {
          Driver: "default",
          Options: {},
          Config: [
            {
              Subnet: "10.1.0.0/24",
              IPRange: "10.1.0.128/25",
              Gateway: "10.1.0.1",
              AuxiliaryAddresses: { router: "10.1.0.9" },
            },
            { Subnet: "fd00:1::/64", Gateway: "fd00:1::1" },
          ],
        },
        Options: { "com.docker.network.driver.mtu": "1400" },
        Containers: {
          ["c".repeat(64)]: {
            Name: "web",
            EndpointID: "e".repeat(64),
            MacAddress: "02:42:0a:01:00:02",
            IPv4Address: "10.1.0.2/24",
            IPv6Address: "fd00:1::2/64",
          },
        },
      });
      expect((await (await request("/v1.47/networks")).json()) as unknown[]).toEqual([
        expect.not.objectContaining({ EnableIPv4: true }),
      ]);
      expect((await request("/networks/back?scope=swarm")).status).toBe(404);
      expect((await request("/networks/back?scope=local&verbose=true")).status).toBe(200);
    });
  });

  test("a container shows its endpoints, by the client's version", () => {
    const state = { status: "running", pid: 42, exitCode: 0, error: "", oomKilled: false, restartCount: 0 } as const;
    const item = someContainer({ endpoints: [ENDPOINT], state: { ...state, startedAt: 1 } });
    const endpointAt = (version: number) =>
      (containerDocument(item, version).NetworkSettings as { Networks: Record<string, object> }).Networks.back;
    expect(endpointAt(51)).toEqual({
      IPAMConfig: { IPv4Address: "10.1.0.2" },
      Links: ["web:w"],
      Aliases: ["db"],
      MacAddress: "02:42:0a:01:00:02",
      DriverOpts: { a: "b" },
      GwPriority: 3,
      NetworkID: NETWORK.id,
      EndpointID: "e".repeat(64),
      Gateway: "10.1.0.1",
      IPAddress: "10.1.0.2",
      IPPrefixLen: 24,
      IPv6Gateway: "fd00:1::1",
      GlobalIPv6Address: "fd00:1::2",
      GlobalIPv6PrefixLen: 64,
      DNSNames: ["web", "db", "cccccccccccc"],
    });
    // Compose of 2021 looks for the short ID among the aliases.
    expect(endpointAt(41)).toMatchObject({ Aliases: ["db", "cccccccccccc"] });
    expect(endpointAt(41)).not.toContainKeys(["DNSNames"]);
    expect(endpointAt(41)).not.toContainKeys(["GwPriority"]);
  });
});

describe("connecting", () => {
  test("settings arrive typed; what inspect shows may be sent back", async () => {
    const seen: [string, string, EndpointSettings][] = [];
    const connect = async (...call: [string, string, EndpointSettings]) => void seen.push(call);
    await withServer(fakeBackends({ networks: { connect } }), async ({ request }) => {
      const EndpointConfig = {
        Aliases: ["a"],
        Links: null,
        IPAMConfig: { IPv4Address: "10.1.0.7", IPv6Address: "fd00::7", LinkLocalIPs: ["169.254.1.1"] },
        DriverOpts: { a: "b" },
        MacAddress: "02-42-AC-11-00-07",
        GwPriority: 7,
        NetworkID: "x",
        IPAddress: "",
      };
      expect((await request("/networks/back/connect", POST({ Container: "web", EndpointConfig }))).status).toBe(200);
      expect((await request("/networks/back/connect", POST({ Container: "web" }))).status).toBe(200);
      expect((await request("/networks/back/connect", POST({}))).status).toBe(400);
      const wrong = POST({ Container: "web", EndpointConfig: { MacAddress: "x" } });
      expect((await request("/networks/back/connect", wrong)).status).toBe(400);
    });
    const settings = {
      aliases: ["a"],
      ipv4: "10.1.0.7",
      ipv6: "fd00::7",
      linkLocal: ["169.254.1.1"],
      driverOptions: { a: "b" },
      mac: "02:42:ac:11:00:07",
      gatewayPriority: 7,
    };
    expect(seen).toEqual([
      ["back", "web", settings],
      ["back", "web", {}],
    ]);
  });

  test("several networks at creation are for clients of API 1.44 and newer", async () => {
    const create = async () => ({ id: "1", warnings: [] });
    const body = POST({ Image: "x", NetworkingConfig: { EndpointsConfig: { a: {}, b: {} } } });
    await withServer(fakeBackends({ containers: { create } }), async ({ request }) => {
      expect((await request("/v1.44/containers/create", body)).status).toBe(201);
      const refused = await request("/v1.43/containers/create", body);
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({
        message: "Container cannot be connected to network endpoints: a, b",
      });
    });
  });

  test("prune and removal answer as Docker does", async () => {
    const prune = async () => ({ removed: [] as string[] });
    const remove = async () => {
      throw new SlipwayError("forbidden", "bridge is a pre-defined network and cannot be removed");
    };
    await withServer(fakeBackends({ networks: { prune, remove } }), async ({ request }) => {
      expect(await (await request("/networks/prune", { method: "POST" })).json()).toEqual({ NetworksDeleted: null });
      expect((await request("/networks/bridge", { method: "DELETE" })).status).toBe(403);
    });
  });
});
