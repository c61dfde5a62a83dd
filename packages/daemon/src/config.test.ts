import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "./address.ts";
import { resolveConfig } from "./config.ts";
import { socketGroup } from "./socket-group.ts";

const directory = mkdtempSync(join(tmpdir(), "slipway-config-"));
afterAll(() => rmSync(directory, { recursive: true }));

function configFile(content: unknown): string {
  const path = join(directory, `${Math.random()}.json`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

test("without flags an engine uses the well-known places", () => {
  const config = resolveConfig({ configFile: configFile({}) });
  expect(config.addresses).toEqual([{ kind: "unix", path: "/run/slipway.sock" }]);
  expect(config).toMatchObject({
    dataRoot: "/var/lib/slipway",
    execRoot: "/run/slipway",
    pidfile: "/run/slipway.pid",
    bridge: "slipway0",
    liveRestore: true,
    logLevel: "info",
  });
});

test("two engines with other data roots share neither exec root, pid file nor bridge", () => {
  const [one, two] = ["/one", "/two"].map((dataRoot) => resolveConfig({ dataRoot, configFile: configFile({}) }));
  for (const name of ["execRoot", "pidfile", "bridge", "instance"] as const) expect(one?.[name]).not.toBe(two?.[name]);
  expect(one?.bridge.length).toBeLessThanOrEqual(15);
});

test("the keys of daemon.json are the flags", () => {
  const config = resolveConfig({
    configFile: configFile({
      hosts: ["unix:///x.sock", "tcp://127.0.0.1:0"],
      "data-root": "/d",
      debug: true,
      "log-opts": { "max-size": "1m", "max-file": "7" },
      "live-restore": false,
    }),
  });
  expect(config).toMatchObject({ dataRoot: "/d", logLevel: "debug", liveRestore: false });
  expect(config.log).toEqual({ driver: "json-file", maxSize: 1024 * 1024, maxFiles: 7 });
  expect(config.addresses).toHaveLength(2);
});

test("logs without a bound, as Docker keeps them, are one option away", () => {
  const config = resolveConfig({ configFile: configFile({ "log-opts": { "max-size": "-1" } }) });
  expect(config.log.maxSize).toBe(Number.MAX_SAFE_INTEGER);
});

test("the trash has a size and a time, 0 turns it off, and what is neither is refused", () => {
  const trashOf = (size: string, time: string) =>
    resolveConfig({ configFile: configFile({ "trash-size": size, "trash-time": time }) }).trash;
  expect(trashOf("5gb", "36h")).toEqual({ maxBytes: 5 * 1024 ** 3, keepMs: 36 * 3600_000 });
  expect(trashOf("0", "0")).toEqual({ maxBytes: 0, keepMs: 0 });
  expect(resolveConfig({ configFile: configFile({}) }).trash).toEqual({});
  expect(() => trashOf("much", "1h")).toThrow("invalid size: 'much'");
  expect(() => trashOf("1g", "-1h")).toThrow("invalid trash-time: -1h");
});

test("a setting in both places is refused, as dockerd does", () => {
  const file = configFile({ "data-root": "/a" });
  expect(() => resolveConfig({ configFile: file, dataRoot: "/b" })).toThrow(
    'specified both as a flag and in the configuration file: data-root: (from flag: "/b", from file: "/a")',
  );
});

test.each([
  [{ "data-rot": "/a" }, "directives don't match any configuration option: data-rot"],
  [{ hosts: "unix:///x" }, "hosts: expected a list, got string"],
  [{ debug: "yes" }, "debug: expected true or false, got string"],
  [{ "log-level": "loud" }, "invalid logging level: loud"],
  [{ "log-driver": "syslog" }, "unknown log driver 'syslog'"],
  [{ bridge: "much-too-long-name" }, "invalid bridge name"],
  ["{", "is not JSON"],
])("%j is refused: %s", (content, message) => {
  expect(() => resolveConfig({ configFile: configFile(content) })).toThrow(message);
});

test("a named configuration file that is missing is an error", () => {
  expect(() => resolveConfig({ configFile: join(directory, "absent.json") })).toThrow("cannot read the configuration");
});

test.each([
  ["unix:///run/x.sock", { kind: "unix", path: "/run/x.sock" }],
  ["/run/x.sock", { kind: "unix", path: "/run/x.sock" }],
  ["tcp://127.0.0.1:99", { kind: "tcp", hostname: "127.0.0.1", port: 99 }],
  ["tcp://localhost", { kind: "tcp", hostname: "127.0.0.1", port: 2375 }],
  ["tcp://[::1]:1", { kind: "tcp", hostname: "::1", port: 1 }],
])("-H %s", (text, address) => {
  expect(parseAddress(text)).toEqual(address as ReturnType<typeof parseAddress>);
});

test.each([
  ["tcp://0.0.0.0:2375", "refusing to listen"],
  ["tcp://example.com:2375", "refusing to listen"],
  ["tcp://127.0.0.1:99999", "invalid address"],
  ["ftp://x", "invalid address"],
  ["fd://", "socket activation"],
  [`unix:///${"x".repeat(200)}`, "longer than"],
])("-H %s is refused: %s", (text, message) => {
  expect(() => parseAddress(text)).toThrow(message);
});

test("the socket's group is docker's, or root's where there is none; a named one must exist", () => {
  const groups = join(directory, "group");
  writeFileSync(groups, "root:x:0:\ndocker:x:998:me\n");
  expect(socketGroup(undefined, groups)).toBe(998);
  expect(socketGroup(undefined, join(directory, "absent"))).toBe(0);
  expect(socketGroup("docker", groups)).toBe(998);
  expect(socketGroup("1234", groups)).toBe(1234);
  expect(() => socketGroup("nobody-here", groups)).toThrow("there is no group 'nobody-here'");
});

test("an address that others reach is served to clients with a certificate only", () => {
  const hosts = ["tcp://0.0.0.0"];
  const configOf = (flags: object) => resolveConfig({ hosts, configFile: configFile(flags) });
  expect(() => configOf({})).toThrow("whoever reaches that port is root");
  expect(() => configOf({ tls: true })).toThrow("whoever reaches that port is root");
  const config = configOf({ tlsverify: true, tlscacert: "/ca" });
  expect(config.addresses).toEqual([{ kind: "tcp", hostname: "0.0.0.0", port: 2376 }]);
  expect(config.tls).toMatchObject({ ca: "/ca", cert: expect.stringMatching(/\/cert\.pem$/) });
});
