import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../run-cli.ts";
import { CannedEngine } from "../testing/canned-engine.ts";
import { TestIo } from "../testing/test-io.ts";
import { complete } from "./complete.ts";
import { splitLine } from "./split-line.ts";

const root = mkdtempSync(join(tmpdir(), "slipway-completion-"));
let engine: CannedEngine;
beforeAll(() => {
  engine = new CannedEngine(join(root, "s.sock"));
});
afterAll(() => {
  engine[Symbol.dispose]();
  rmSync(root, { recursive: true });
});

const io = () => new TestIo({ env: { DOCKER_HOST: `unix://${engine.socket}`, DOCKER_CONFIG: root, HOME: root } });

/** Words for the line up to the cursor, without the program's name. */
async function words(line: string): Promise<readonly string[] | "files"> {
  const answer = await complete(splitLine(`slipway ${line}`).slice(1), io());
  return answer === "files" ? answer : answer.map(({ word }) => word);
}

test("commands and their groups are completed, hidden ones and those that are not here are not", async () => {
  expect(await words("ru")).toEqual(["run"]);
  expect(await words("container ren")).toEqual(["rename"]);
  expect(await words("--debug container ren")).toEqual(["rename"]);
  expect(await words("swar")).toEqual([]);
  expect(await words("__comp")).toEqual([]);
});

test("flags are completed, of the program and of each command", async () => {
  expect(await words("--tlsv")).toEqual(["--tlsverify"]);
  expect(await words("run --publish-")).toEqual(["--publish-all"]);
  expect(await words("run --help")).toEqual(["--help"]);
  expect(await words("run busybox --publish-")).toBe("files");
});

test("values of flags are completed, behind a space and behind '='", async () => {
  expect(await words("run --pull ")).toEqual(["always", "missing", "never"]);
  expect(await words("run --pull=mi")).toEqual(["--pull=missing"]);
  expect(await words("run -it --network ho")).toEqual(["host"]);
  expect(await words("kill -s SIGTE")).toEqual(["SIGTERM"]);
  expect(await words("run --cap-add NET_A")).toEqual(["NET_ADMIN"]);
  expect(await words("run --env-file ")).toBe("files");
  expect(await words("-c def")).toEqual(["default"]);
});

test("names come from the engine, by what the usage line asks for", async () => {
  const containers = await words("rm ");
  expect(containers).not.toBeEmpty();
  const [first = ""] = containers;
  expect(await words(`rm ${first} `)).not.toContain(first);
  expect(await words("cp ")).toContain(`${first}:`);
  expect(await words("rmi ")).not.toBeEmpty();
  expect(await words("volume rm ")).not.toBeEmpty();
  expect(await words("network inspect ")).toContain("bridge");
  expect(await words("rename one ")).toBe("files");
});

test("without an engine there is nothing to offer and nothing is said", async () => {
  const silent = new TestIo({ env: { DOCKER_HOST: "unix:///nowhere.sock", HOME: root } });
  expect(await runCli(["__complete", "--line", "slipway rm "], silent)).toBe(0);
  expect(silent.stdout.text + silent.stderr.text).toBe("");
});

test.each([
  ["a b", ["a", "b"]],
  ["a ", ["a", ""]],
  ["a 'b c", ["a", "b c"]],
  [`a "b \\" c" d`, ["a", 'b " c', "d"]],
  ["a b\\ c", ["a", "b c"]],
  ["", [""]],
])("the line %p has the words %p", (line, expected) => {
  expect(splitLine(line)).toEqual(expected);
});

test("a shell that is not known is refused by name", async () => {
  const output = io();
  expect(await runCli(["completion", "csh"], output)).toBe(1);
  expect(output.stderr.text).toContain("bash, zsh, fish");
});
