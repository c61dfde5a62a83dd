import { describe, expect, test } from "bun:test";
import { ipamConfig } from "./ipam.ts";
import { defaultLinks, endpointsOf, networkMode } from "./network.ts";

const NONE = {
  network: [],
  net: [],
  "network-alias": [],
  "net-alias": [],
  ip: "",
  ip6: "",
  link: [],
  "link-local-ip": [],
  "mac-address": "",
};

describe("--network", () => {
  test("simple and long, first and further ones", () => {
    const long =
      "name=front,alias=a,alias=b,ip=10.0.0.2,ip6=fd00::2,mac-address=02:42:00:00:00:01,link-local-ip=169.254.1.1,driver-opt=k=v,gw-priority=-3";
    const flags = { ...NONE, network: ["back", long], "network-alias": ["db"], link: ["web:w", "x"] };
    expect(networkMode(flags)).toBe("back");
    expect(endpointsOf(flags)).toEqual({
      back: { Aliases: ["db"], Links: ["web:w", "x:x"] },
      front: {
        Aliases: ["a", "b"],
        IPAMConfig: { IPv4Address: "10.0.0.2", IPv6Address: "fd00::2", LinkLocalIPs: ["169.254.1.1"] },
        MacAddress: "02:42:00:00:00:01",
        DriverOpts: { k: "v" },
        GwPriority: -3,
      },
    });
    expect(defaultLinks(flags)).toEqual([]);
  });

  test("links go to the hosts file on the default network", () => {
    expect(defaultLinks({ ...NONE, link: ["db"] })).toEqual(["db:db"]);
    expect(endpointsOf({ ...NONE, link: ["db"] })).toEqual({});
    expect(endpointsOf({ ...NONE, "mac-address": "02:42:00:00:00:01" })).toEqual({
      default: { MacAddress: "02:42:00:00:00:01" },
    });
  });

  test.each([
    [["name=a,ip=1.2.3.4"], { ip: "1.2.3.5" }, "cannot specify both --ip and per-network IPv4 address"],
    [["name=a,alias=x"], { "network-alias": ["y"] }, "cannot specify both --network-alias and per-network alias"],
    [["a", "a"], {}, 'network "a" is specified multiple times'],
    [["a", "host"], {}, "cannot attach both user-defined and non-user-defined network-modes"],
    [["bridge"], { "network-alias": ["x"] }, "network-scoped aliases are only supported for user-defined networks"],
    [["name=a,foo=b"], {}, "invalid field key foo"],
    [["alias=b"], {}, "network name/id is not specified"],
    [["name=a,gw-priority=x"], {}, "invalid gw-priority (x): invalid syntax"],
    [["name=a,driver-opt=x"], {}, "invalid key value pair format in driver options"],
    [["name=a,mac-address=x"], {}, "x is not a valid mac address"],
  ])("%j with %j is refused: %s", (network, more, text) => {
    expect(() => endpointsOf({ ...NONE, network, ...more })).toThrow(text);
  });
});

describe("network create", () => {
  const flags = { subnet: [], "ip-range": [], gateway: [], "aux-address": [] };

  test("ranges, gateways and addresses go to the subnet that has them", () => {
    expect(
      ipamConfig({
        subnet: ["10.1.0.0/16", "fd00:1::/64"],
        "ip-range": ["10.1.4.0/24"],
        gateway: ["fd00:1::ffff", "10.1.0.9"],
        "aux-address": ["a=10.1.0.5", "b=fd00:1::5", "c=10.1.0.6"],
      }),
    ).toEqual([
      {
        Subnet: "10.1.0.0/16",
        IPRange: "10.1.4.0/24",
        Gateway: "10.1.0.9",
        AuxiliaryAddresses: { a: "10.1.0.5", c: "10.1.0.6" },
      },
      { Subnet: "fd00:1::/64", Gateway: "fd00:1::ffff", AuxiliaryAddresses: { b: "fd00:1::5" } },
    ]);
    expect(ipamConfig(flags)).toEqual([]);
  });

  test.each([
    [{ gateway: ["10.0.0.1"] }, "every ip-range or gateway must have a corresponding subnet"],
    [{ subnet: ["10.0.0.0/8"], gateway: ["11.0.0.1"] }, "no matching subnet for gateway 11.0.0.1"],
    [{ subnet: ["10.0.0.0/8"], "ip-range": ["11.0.0.0/24"] }, "no matching subnet for range 11.0.0.0/24"],
    [{ subnet: ["10.0.0.0/8"], "aux-address": ["a=::1"] }, "no matching subnet for aux-address ::1"],
    [{ subnet: ["10.0.0.0/8", "10.1.0.0/16"] }, "multiple overlapping subnet configuration is not supported"],
    [{ subnet: ["10.0.0.0"] }, "invalid CIDR address: 10.0.0.0"],
  ])("%j is refused: %s", (more, text) => {
    expect(() => ipamConfig({ ...flags, ...more })).toThrow(text);
  });
});
