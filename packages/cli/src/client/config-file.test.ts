import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withConfigured } from "../commands/system/prune-filters.ts";
import { readConfigFile, requireGoodConfig } from "./config-file.ts";
import { customHeaders } from "./headers.ts";
import { findMistake } from "./json-mistake.ts";
import { proxyVariables } from "./proxies.ts";

const directory = mkdtempSync(join(tmpdir(), "slipway-config-"));
const path = join(directory, "config.json");
afterAll(() => rmSync(directory, { recursive: true }));

const read = (text: string) => {
  writeFileSync(path, text);
  return readConfigFile(directory);
};

for (const [text, problem] of [
  [
    '{"psFormat": "x",\n bogus}',
    ":2:2: a name in quotation marks was expected; the last one must have no comma after it",
  ],
  ['{\n  "auths": {},\n}', ":3:1: a name in quotation marks was expected; the last one must have no comma after it"],
  ['{"a": [1 2]}', ":1:10: a comma or a closing bracket was expected"],
  ['{"a"', ":1:5: it ends where a colon was expected"],
  ["[]", ":1: it must hold an object: {...}"],
  ['{\n"detachKeys":\n5}', ":2: detachKeys must be a string"],
  ['{"HttpHeaders": {"X": 5}}', ":1: HttpHeaders must be an object of strings"],
  ['{"pruneFilters": "label=x"}', ":1: pruneFilters must be a list of strings"],
  ['{"proxies": {"default": "http://p"}}', ":1: proxies must be an object with an object of strings for each engine"],
] as const) {
  test(`${JSON.stringify(text)} is told with its place`, async () => {
    expect((await read(text)).problems).toEqual([path + problem]);
    expect(requireGoodConfig(directory)).rejects.toThrow(problem);
  });
}

test("one wrong setting does not take the others away", async () => {
  const { config } = await read('{"psFormat": 5, "detachKeys": "ctrl-a"}');
  expect(config).toEqual({ detachKeys: "ctrl-a" });
});

test("a missing file and an empty one are no mistake", async () => {
  expect(await read("")).toEqual({ config: {}, problems: [] });
  expect(await readConfigFile("/nonexistent")).toEqual({ config: {}, problems: [] });
});

test("a mistake is found wherever JSON's own parser finds one, and nowhere else", () => {
  const whole = '{"a": [1, -2.5e3, "x\\u00e9\\"", {}], "b": {"c": null, "d": [true, []]}} ';
  expect(findMistake(whole)).toBeUndefined();
  for (let at = 0; at < whole.length; at++) {
    for (const broken of [
      whole.slice(0, at),
      whole.slice(0, at) + whole.slice(at + 1),
      `${whole.slice(0, at)},${whole.slice(at)}`,
    ]) {
      let isJson = true;
      try {
        JSON.parse(broken);
      } catch {
        isJson = false;
      }
      expect(findMistake(broken) === undefined, broken).toBe(isJson);
    }
  }
});

test("headers come from the environment, else from the file, and never hold a line feed", () => {
  const file = { "X-A": "b", "User-Agent": "mine" };
  expect(customHeaders(file, {})).toEqual({ "X-A": "b" });
  expect(customHeaders(file, { DOCKER_CUSTOM_HEADERS: 'X-C=1,"X-D=a,b",X-E=' })).toEqual({
    "X-C": "1",
    "X-D": "a,b",
    "X-E": "",
  });
  expect(() => customHeaders({}, { DOCKER_CUSTOM_HEADERS: "bogus" })).toThrow(`missing "=" in key=value pair: 'bogus'`);
  expect(() => customHeaders({ "X-A": "b\r\nX-B: c" }, {})).toThrow("cannot be sent as a header");
  expect(() => customHeaders({ "X A": "b" }, {})).toThrow("cannot be sent as a header");
});

test("proxies are those of the engine, else the default, but for variables that are given", () => {
  const proxies = { default: { httpProxy: "http://d", noProxy: "x" }, "tcp://e:1": { allProxy: "socks5://e" } };
  expect(proxyVariables({ proxies }, "unix:///s", ["http_proxy"])).toEqual([
    ["HTTP_PROXY", "http://d"],
    ["NO_PROXY", "x"],
    ["no_proxy", "x"],
  ]);
  expect(proxyVariables({ proxies }, "tcp://e:1", [])).toEqual([
    ["ALL_PROXY", "socks5://e"],
    ["all_proxy", "socks5://e"],
  ]);
  expect(proxyVariables({}, "unix:///s", [])).toEqual([]);
});

test("filters of the file join those of the command line unless that says the contrary", () => {
  expect(withConfigured({ label: ["a"] }, ["label!=a", "label!=keep", "label=a", "until=24h", "bogus"])).toEqual({
    label: ["a"],
    "label!": ["keep"],
    until: ["24h"],
  });
});
