import { describe, expect, test } from "bun:test";
import {
  broadcast,
  contains,
  formatAddress,
  formatSubnet,
  macOfAddress,
  overlap,
  parseAddress,
  parsePlace,
  parseSubnet,
} from "./addresses/ipv4.ts";
import { hostResolver, hostsFile, parseResolvConf, resolvConf } from "./index.ts";
import { chooseSubnet, parseRoutes } from "./kernel/host-routes.ts";

describe("addresses", () => {
  test("are read and written", () => {
    expect(formatAddress(parseAddress("255.254.0.1") ?? 0)).toBe("255.254.0.1");
    for (const bad of ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "a.b.c.d", "::1"])
      expect(parseAddress(bad)).toBeUndefined();
    expect(formatSubnet(parseSubnet("172.18.5.1/16"))).toBe("172.18.0.0/16");
    for (const bad of ["172.18.0.0", "172.18.0.0/33", "x/8", "1.2.3.4/8/9"])
      expect(() => parseSubnet(bad)).toThrow("not an IPv4 subnet");
    expect(parsePlace("172.18.0.254/24").gateway).toBe(parseAddress("172.18.0.254") ?? 0);
    for (const bad of ["172.18.0.0/16", "172.18.0.255/24", "172.18.0.1/30"])
      expect(() => parsePlace(bad)).toThrow("leaves no address");
  });

  test("lie in subnets", () => {
    const subnet = parseSubnet("192.168.16.0/20");
    expect(formatAddress(broadcast(subnet))).toBe("192.168.31.255");
    expect(contains(subnet, parseAddress("192.168.31.9") ?? 0)).toBe(true);
    expect(contains(subnet, parseAddress("192.168.32.0") ?? 0)).toBe(false);
    expect(overlap(subnet, parseSubnet("192.168.0.0/16"))).toBe(true);
    expect(overlap(parseSubnet("192.168.0.0/16"), subnet)).toBe(true);
    expect(overlap(subnet, parseSubnet("192.168.32.0/20"))).toBe(false);
    expect(macOfAddress(parseAddress("172.17.0.2") ?? 0)).toBe("02:42:ac:11:00:02");
  });

  test("a subnet is chosen that no route of the host touches", () => {
    const table = [
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
      "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
      "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
      "vpn\t000012AC\t00000000\t0001\t0\t0\t0\t0000FEFF\t0\t0\t0",
    ].join("\n");
    const routes = parseRoutes(table);
    expect(routes.map((route) => `${route.device} ${formatSubnet(route)}`)).toEqual([
      "eth0 0.0.0.0/0",
      "docker0 172.17.0.0/16",
      "vpn 172.18.0.0/15",
    ]);
    expect(formatSubnet(chooseSubnet(routes))).toBe("172.20.0.0/16");
    expect(formatSubnet(chooseSubnet([parseSubnet("172.16.0.0/12")]))).toBe("192.168.0.0/20");
    const private20 = [parseSubnet("172.16.0.0/12"), parseSubnet("192.168.0.0/16")];
    expect(formatSubnet(chooseSubnet([...private20, parseSubnet("10.208.0.0/24")]))).toBe("10.208.1.0/24");
    expect(() => chooseSubnet([...private20, parseSubnet("10.0.0.0/8")])).toThrow("no address block is free");
  });
});

describe("the files of a container", () => {
  test("hosts names the container, its neighbours by wish, and the host", () => {
    const text = hostsFile({
      hostname: "web",
      domainname: "example.org",
      addresses: ["172.17.0.2"],
      extraHosts: ["db:10.0.0.5", "six=[2001:db8::1]", "host.docker.internal:host-gateway"],
      gateway: "172.17.0.1",
    });
    for (const line of [
      "127.0.0.1\tlocalhost",
      "10.0.0.5\tdb",
      "2001:db8::1\tsix",
      "172.17.0.1\thost.docker.internal",
      "172.17.0.2\tweb.example.org web",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    const bad =
      (entry: string): (() => string) =>
      () =>
        hostsFile({ hostname: "h", addresses: [], extraHosts: [entry] });
    for (const entry of ["db", "db:", "d b:1.2.3.4", "db:1.2.3.4\n6.6.6.6 bank", "x:host-gateway"])
      expect(bad(entry)).toThrow("invalid extra host");
  });

  test("resolv.conf leaves out what the container cannot reach, and takes what was asked for", () => {
    const host = parseResolvConf(
      "# c\nnameserver 127.0.0.1\nnameserver 10.0.0.53\nnameserver fd00::53\nsearch a.org b.org\noptions ndots:2 rotate\n",
    );
    expect(resolvConf({ mode: "bridge", host })).toBe(
      "nameserver 10.0.0.53\nsearch a.org b.org\noptions ndots:2 rotate\n",
    );
    expect(resolvConf({ mode: "host", host })).toContain("nameserver 127.0.0.1\n");
    expect(resolvConf({ mode: "bridge", host, nameservers: ["9.9.9.9"], search: ["."], options: ["ndots:1"] })).toBe(
      "nameserver 9.9.9.9\noptions ndots:1\n",
    );
    const loopbackOnly = parseResolvConf("nameserver 127.0.0.1\n");
    expect(resolvConf({ mode: "bridge", host: loopbackOnly })).toBe("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  });

  test("resolv.conf of a user's own network names our resolver, whoever answers behind it", () => {
    const host = parseResolvConf("nameserver 10.0.0.53\nsearch a.org\noptions rotate\n");
    expect(resolvConf({ mode: "resolver", host, nameservers: ["9.9.9.9"] })).toBe(
      "nameserver 127.0.0.11\nsearch a.org\noptions rotate ndots:0\n",
    );
    expect(resolvConf({ mode: "resolver", host, search: ["."], options: ["ndots:3"] })).toBe(
      "nameserver 127.0.0.11\noptions ndots:3\n",
    );
  });

  test("systemd-resolved's stub is replaced by the servers behind it", () => {
    const files: Record<string, string> = {
      "/etc/resolv.conf": "nameserver 127.0.0.53\noptions edns0\nsearch lan\n",
      "/run/systemd/resolve/resolv.conf": "nameserver 192.168.1.1\nsearch lan\n",
    };
    expect(hostResolver((path) => files[path])).toEqual({ nameservers: ["192.168.1.1"], search: ["lan"], options: [] });
    expect(
      hostResolver((path) => (path === "/etc/resolv.conf" ? "nameserver 1.1.1.1" : undefined)).nameservers,
    ).toEqual(["1.1.1.1"]);
    expect(hostResolver(() => undefined)).toEqual({ nameservers: [], search: [], options: [] });
  });
});
