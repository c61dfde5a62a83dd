import { describe, expect, test } from "bun:test";
import { parseIpv6Routes } from "../kernel/host-routes.ts";
import { blocksOverlap, formatBlock, formatIp, parseBlock, parseIp } from "./ip-block.ts";

describe("addresses of both families", () => {
  test("are read in every notation and written in one (RFC 5952)", () => {
    const notations: Record<string, string> = {
      "::": "::",
      "::1": "::1",
      "2001:DB8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
      "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
      "::ffff:192.0.2.1": "::ffff:c000:201",
      "1:2:3:4:5:6:7::": "1:2:3:4:5:6:7:0",
      "192.0.2.1": "192.0.2.1",
    };
    for (const [text, written] of Object.entries(notations)) {
      const address = parseIp(text);
      expect(address && formatIp(address)).toBe(written);
    }
    const bad = [
      "",
      ":",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "g::",
      "1:2:3:4:5:6:7:8::",
      "12345::",
    ];
    for (const text of [...bad, "::1%eth0", "::1.2.3", "1.2.3", "1.2.3.256", "[::1]"])
      expect(parseIp(text)).toBeUndefined();
  });

  test("of random values survive being written and read", () => {
    for (let round = 0; round < 2000; round++) {
      const words = Array.from({ length: 8 }, () => (Math.random() < 0.5 ? 0 : Math.floor(Math.random() * 65536)));
      const value = words.reduce((sum, word) => (sum << 16n) | BigInt(word), 0n);
      expect(parseIp(formatIp({ family: 6, value }))).toEqual({ family: 6, value });
    }
  });

  test("make blocks", () => {
    expect(formatBlock(parseBlock("fd00:1:2:3:4::5/64")?.block ?? { family: 6, base: 0n, prefixLength: 0 })).toBe(
      "fd00:1:2:3::/64",
    );
    for (const text of ["fd00::", "fd00::/129", "10.0.0.0/33", "10.0.0.0/8/8", "x/8"])
      expect(parseBlock(text)).toBeUndefined();
    const [all, one, other] = ["0.0.0.0/0", "10.1.0.0/16", "fd00::/8"].map((text) => parseBlock(text)?.block);
    if (all === undefined || one === undefined || other === undefined) throw new Error("unread");
    expect([blocksOverlap(all, one), blocksOverlap(one, all), blocksOverlap(one, other)]).toEqual([true, true, false]);
  });

  test("of the host's IPv6 routes leave out what every machine has", () => {
    const text = [
      "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0",
      "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0",
      "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0",
      "fd110000000000000000000000000000 10 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     vpn",
      "00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo",
    ].join("\n");
    expect(parseIpv6Routes(text).map(({ block, device, routed }) => [formatBlock(block), device, routed])).toEqual([
      ["fd00::/64", "eth0", false],
      ["fd11::/16", "vpn", true],
    ]);
  });
});
