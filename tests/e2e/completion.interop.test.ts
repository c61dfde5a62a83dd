import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BASE, Engine, run, SLIPWAY } from "./harness.ts";

/** The shells themselves run the scripts. */
let engine: Engine;
let bin: string;

beforeAll(async () => {
  engine = await Engine.start();
  await engine.ok("create", "--name", "shipyard", BASE);
  bin = mkdtempSync(join(tmpdir(), "slipway-completion-"));
  symlinkSync(SLIPWAY, join(bin, "slipway"));
}, 60_000);
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  rmSync(bin, { recursive: true, force: true });
});

async function shell(argv: readonly string[]): Promise<string[]> {
  const env = { DOCKER_HOST: `unix://${engine.socket}`, PATH: `${bin}:${process.env.PATH ?? ""}`, HOME: bin };
  const output = await run(argv, { env, cwd: bin });
  expect(output.stderr).toBe("");
  return output.stdout.split("\n").filter((line) => line !== "");
}

/** Bash's own cutting of the last word at ':' and '=' is given as `last`. */
const bash = (line: string, last: string) =>
  shell([
    "bash",
    "-c",
    `source <(slipway completion bash); COMP_LINE="$1" COMP_POINT=\${#1} COMP_WORDS=(slipway "$2") COMP_CWORD=1
_slipway_complete; printf '%s\\n' "\${COMPREPLY[@]}"`,
    "bash",
    line,
    last,
  ]);

test("bash completes commands, names and values, also behind its own word breaks", async () => {
  expect(await bash("slipway rena", "rena")).toEqual(["rename"]);
  expect(await bash("slipway rm ship", "ship")).toEqual(["shipyard"]);
  expect(await bash("slipway run --pull=mi", "mi")).toEqual(["missing"]);
  expect(await bash(`slipway rmi ${BASE}:la`, "la")).toEqual(["latest"]);
  expect(await bash(`slipway rmi ${BASE}:`, ":")).toEqual(["latest"]);
  expect(await bash("slipway load -i slip", "slip")).toEqual(["slipway"]);
}, 20_000);

test("zsh completes the same", async () => {
  const zsh = (...words: string[]) =>
    shell([
      "zsh",
      "-f",
      "-c",
      `compdef() { : }; compadd() { print -l -- "\${words_of[@]}" }; _files() { print FILES }
source <(slipway completion zsh); words=(slipway "$@"); CURRENT=\${#words}; _slipway_complete`,
      "zsh",
      ...words,
    ]);
  expect(await zsh("rena")).toEqual(["rename"]);
  expect(await zsh("rm", "ship")).toEqual(["shipyard"]);
  expect(await zsh("rm", "")).toContain("shipyard");
  expect(await zsh("load", "-i", "")).toEqual(["FILES"]);
}, 20_000);

test("fish completes the same", async () => {
  const fish = (line: string) =>
    shell(["fish", "--no-config", "-c", `slipway completion fish | source; complete -C '${line}'`]);
  expect(await fish("slipway rena")).toEqual(["rename\tRename a container"]);
  expect((await fish("slipway rm ship")).map((line) => line.split("\t")[0])).toEqual(["shipyard"]);
  expect(await fish("slipway load -i slip")).toEqual(["slipway"]);
}, 20_000);
