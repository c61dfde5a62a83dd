import { expect, test } from "bun:test";
import { isIP } from "node:net";
import { DetachScanner, parseDetachKeys } from "../streams/detach-keys.ts";
import { parseDevice, parseGpus, parseRestart, parseThrottle, parseUlimit } from "./device.ts";
import { addressFamily } from "./host.ts";
import { parseMount, parseVolumes } from "./mount.ts";
import { parseExposed, parsePublished } from "./port.ts";
import { timestamp } from "./timestamp.ts";

const PORTS: readonly (readonly [spec: string, bindings: Record<string, string[]>])[] = [
  ["80", { "80/tcp": [":"] }],
  ["8080:80", { "80/tcp": [":8080"] }],
  ["8080:80/udp", { "80/udp": [":8080"] }],
  ["127.0.0.1:8080:80", { "80/tcp": ["127.0.0.1:8080"] }],
  ["127.0.0.1::80", { "80/tcp": ["127.0.0.1:"] }],
  ["[::1]:8080:80", { "80/tcp": ["::1:8080"] }],
  ["8000-8002:80-82", { "80/tcp": [":8000"], "81/tcp": [":8001"], "82/tcp": [":8002"] }],
  ["8000-8010:80", { "80/tcp": [":8000-8010"] }],
  ["80-81", { "80/tcp": [":"], "81/tcp": [":"] }],
  ["target=80,published=8080,protocol=udp", { "80/udp": [":8080"] }],
];

for (const [spec, expected] of PORTS) {
  test(`-p ${spec}`, () => {
    const { bindings, exposed } = parsePublished([spec]);
    const shown = Object.entries(bindings).map(([port, list]) => [
      port,
      list.map((one) => `${one.HostIp}:${one.HostPort}`),
    ]);
    expect(Object.fromEntries(shown)).toEqual(expected);
    expect(Object.keys(exposed)).toEqual(Object.keys(expected));
  });
}

const REFUSED: readonly (readonly [what: string, read: () => unknown, message: string])[] = [
  ["-p x", () => parsePublished(["x"]), "invalid containerPort: x"],
  ["-p 1:2:3:4", () => parsePublished(["1:2:3:4"]), "invalid IP address: 1:2"],
  ["-p 70000", () => parsePublished(["70000"]), "invalid containerPort: 70000"],
  ["-p a:80", () => parsePublished(["a:80"]), "invalid hostPort: a"],
  ["-p 80/xyz", () => parsePublished(["80/xyz"]), "invalid proto: xyz"],
  ["-p 1-3:80-81", () => parsePublished(["1-3:80-81"]), "invalid ranges specified for container and host Ports"],
  ["-p 90-80", () => parsePublished(["90-80"]), "invalid containerPort: 90-80"],
  ["--expose x", () => parseExposed(["x"]), "invalid range format for --expose: x"],
  ["--mount foo", () => parseMount("foo"), "invalid field 'foo' must be a key=value pair"],
  ["--mount type=bind", () => parseMount("type=bind,source=/a"), "target is required"],
  [
    "--mount mixed",
    () => parseMount("type=bind,target=/a,tmpfs-size=1"),
    "cannot mix 'tmpfs-*' options with mount type 'bind'",
  ],
  ["--mount key", () => parseMount("target=/a,nope=1"), "unexpected key 'nope' in 'nope=1'"],
  ["--mount ro=x", () => parseMount("target=/a,ro=x"), "invalid value for ro: x"],
  ["-v a:b:c:d", () => parseVolumes(["a:b:c:d"]), "invalid volume specification"],
  ["-v :b", () => parseVolumes([":b"]), "invalid volume specification"],
  ["--device a:b:x", () => parseDevice("/dev/a:/dev/b:x"), "invalid device mode: x"],
  ["--ulimit foo", () => parseUlimit("foo"), "invalid ulimit argument: foo"],
  ["--ulimit foo=1", () => parseUlimit("foo=1"), "invalid ulimit type: foo"],
  ["--ulimit nofile=2:1", () => parseUlimit("nofile=2:1"), "must be less than or equal to hard limit: 2 > 1"],
  ["--restart a:b", () => parseRestart("on-failure:b"), "maximum retry count must be an integer"],
  ["--restart a:1:2", () => parseRestart("on-failure:1:2"), "a policy has one ':' at most"],
  ["--device-read-bps x", () => parseThrottle("x", "bytes"), "bad format: x"],
  ["--gpus x", () => parseGpus("x"), "count must be an integer"],
  ["detach keys", () => parseDetachKeys("ctrl-?"), "invalid detach keys"],
  ["--since x", () => timestamp("x"), "failed to parse value as time or duration"],
];

for (const [what, read, message] of REFUSED)
  test(`${what} is refused: ${message}`, () => void expect(read).toThrow(message));

test("ranges of exposed ports are taken apart", () => {
  expect(parseExposed(["80", "90-91/udp"])).toEqual(["80/tcp", "90/udp", "91/udp"]);
});

test("mounts take all of their keys", () => {
  expect(parseMount("type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave")).toEqual({
    Type: "bind",
    Source: "/a",
    Target: "/b",
    ReadOnly: true,
    BindOptions: { Propagation: "rslave" },
  });
  expect(parseMount('type=volume,source=v,target=/b,"volume-opt=o=a,b",volume-label=x=y,volume-nocopy')).toEqual({
    Type: "volume",
    Source: "v",
    Target: "/b",
    VolumeOptions: { DriverConfig: { Options: { o: "a,b" } }, Labels: { x: "y" }, NoCopy: true },
  });
  expect(parseMount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1777")).toEqual({
    Type: "tmpfs",
    Target: "/t",
    TmpfsOptions: { SizeBytes: 64 * 1024 * 1024, Mode: 0o1777 },
  });
});

test("volumes with a source are binds, and relative paths become absolute", () => {
  const { binds, volumes } = parseVolumes(["/a:/b:ro", "name:/c", "/d", "./x:/y"]);
  expect(binds).toEqual(["/a:/b:ro", "name:/c", `${process.cwd()}/x:/y`]);
  expect(volumes).toEqual({ "/d": {} });
});

test("moments are seconds, ages or dates", () => {
  expect(timestamp("")).toBeUndefined();
  expect(timestamp("1136073600.5")).toBe("1136073600.5");
  expect(timestamp("10m", 1_000_000_000_000)).toBe("999999400.000000000");
  expect(timestamp("2006-01-02T15:04:05Z")).toBe("1136214245");
  expect(timestamp("2006-01-02T15:04:05.25+01:00")).toBe("1136210645.250000000");
});

test("the detach keys are found across chunks, and what only began like them is sent", () => {
  const keys = parseDetachKeys("ctrl-p,ctrl-q");
  expect(keys).toEqual([16, 17]);
  const scanner = new DetachScanner(keys);
  const push = (...bytes: number[]) => {
    const { data, detached } = scanner.push(Uint8Array.from(bytes));
    return [[...data], detached];
  };
  expect(push(97, 16)).toEqual([[97], false]);
  expect(push(98)).toEqual([[16, 98], false]);
  expect(push(16)).toEqual([[], false]);
  expect(push(16)).toEqual([[16], false]);
  expect(push(17)).toEqual([[], true]);
});

test("addresses are those that the system's library knows", () => {
  const texts = [
    "1.2.3.4",
    "0.0.0.0",
    "255.255.255.255",
    "256.1.1.1",
    "1.2.3",
    "01.2.3.4",
    "1.2.3.4.5",
    "",
    "a",
    "::",
    "::1",
    "1::2::3",
  ];
  for (const text of [
    ...texts,
    "fe80::1",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8:9",
    "::ffff:1.2.3.4",
    "::1.2.3",
    ":::",
    "12345::",
    "g::",
    "[::1]",
    ":1",
  ]) {
    expect(addressFamily(text), text).toBe(isIP(text) as 0 | 4 | 6);
  }
});
