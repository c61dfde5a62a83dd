import { expect, test } from "bun:test";
import { TREE } from "./command-tree.ts";
import type { CommandEntry, Entry, GroupEntry } from "./grammar/command.ts";
import { runCli } from "./run-cli.ts";
import { TestIo } from "./testing/test-io.ts";

function commandsOf(group: GroupEntry, path: readonly string[] = []): { path: string[]; entry: CommandEntry }[] {
  return group.entries.flatMap((entry) => {
    const here = [...path, entry.name];
    if (entry.kind === "group") return commandsOf(entry, here);
    return entry.kind === "command" ? [{ path: here, entry }] : [];
  });
}

const commands = commandsOf(TREE);

test("names and aliases of a group are all different", () => {
  const check = (group: GroupEntry) => {
    const names = group.entries.flatMap((entry) => [
      entry.name,
      ...(entry.kind === "group" ? [] : (entry.aliases ?? [])),
    ]);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
    for (const entry of group.entries) if (entry.kind === "group") check(entry);
  };
  check(TREE);
});

for (const { path, entry } of commands) {
  test(`slipway ${path.join(" ")}: its flags are sound and its help tells all of them`, async () => {
    const command = await entry.load();
    const flags = Object.entries(command.flags);
    const letters = flags.flatMap(([, flag]) => (flag.short === undefined ? [] : [flag.short]));
    expect(letters.filter((letter, at) => letters.indexOf(letter) !== at)).toEqual([]);
    for (const [name, flag] of flags) {
      expect(name).toMatch(/^[a-z0-9-]+$/);
      expect(flag.help).not.toBe("");
    }
    const io = new TestIo();
    expect(await runCli([...path, "--help"], io)).toBe(0);
    expect(io.stderr.text).toBe("");
    for (const [name, flag] of flags) if (!flag.hidden) expect(io.stdout.text).toContain(`--${name}`);
    const long = io.stdout.text.split("\n").filter((line) => line.length > 80 && !/^\s*(#|slipway|Usage)/.test(line));
    expect(long).toEqual([]);
  });
}

const ANSWERS: readonly (readonly [line: string, status: number, ...words: string[]])[] = [
  ["", 0, "Usage:  slipway [OPTIONS] COMMAND", "Management Commands:"],
  ["--help", 0, "Common Commands:"],
  ["help", 0, "Common Commands:"],
  ["help run", 0, "Usage:  slipway run [OPTIONS] IMAGE"],
  ["help container ls", 0, "Usage:  slipway container ls"],
  ["--version", 0, "Slipway version"],
  ["-v", 0, "Slipway version"],
  ["container", 0, "Usage:  slipway container COMMAND"],
  ["container --help", 0, "prune"],
  ["contianer", 1, "'contianer' is not a slipway command", "Did you mean 'slipway container'?"],
  ["container lss", 1, "'lss' is not a command of 'slipway container'", "Did you mean 'slipway container ls'?"],
  ["container --foo", 125, "unknown flag: --foo"],
  ["rnu x", 1, "Did you mean 'slipway run'?"],
  ["--foo ps", 125, "unknown flag: --foo"],
  ["--debgu ps", 125, "Did you mean --debug?"],
  ["-H", 125, "flag needs an argument: 'H' in -H"],
  ["swarm init", 1, "'swarm' is part of Docker Swarm"],
  ["plugin ls", 1, "'plugin' is about engine plug-ins"],
  ["network create", 1, "'slipway network create' requires 1 argument"],
  ["kill", 1, "'slipway kill' requires at least 1 argument"],
  ["rename a", 1, "'slipway rename' requires 2 arguments"],
  ["ps a", 1, "'slipway ps' accepts no arguments"],
  ["images a b", 1, "requires at most 1 argument"],
  ["-H unix:///a -H unix:///b ps", 1, "specify only one -H"],
  ["-H unix:///a -c x ps", 1, "cannot specify both --host and --context"],
  ["-H nonsense ps", 1, "unable to parse docker host `nonsense`"],
  ["-H ssh://me:secret@host ps", 1, "plain-text password is not supported"],
  ["-c nowhere ps", 1, 'context "nowhere": context not found'],
  ["-H unix:///nowhere.sock ps", 1, "Cannot connect to the Docker daemon at unix:///nowhere.sock"],
];

for (const [line, status, ...words] of ANSWERS) {
  test(`\`slipway ${line}\` ends with ${status} and says ${words[0]}`, async () => {
    const io = new TestIo({ env: { DOCKER_CONFIG: "/nowhere" } });
    expect(await runCli(line === "" ? [] : line.split(" "), io)).toBe(status);
    const text = io.stdout.text + io.stderr.text;
    for (const word of words) expect(text).toContain(word);
    expect(text).not.toMatch(/\n\s+at /);
  });
}

test("every command of Docker's tree is known", () => {
  const has = (words: string): boolean => {
    let entry: Entry | undefined = TREE;
    for (const word of words.split(" ")) {
      if (entry?.kind !== "group") return entry?.kind === "absent";
      entry = entry.entries.find(({ name }) => name === word);
    }
    return entry !== undefined;
  };
  expect(DOCKER_COMMANDS.filter((words) => !has(words))).toEqual([]);
});

const below = (group: string, names: string) => names.split(" ").map((name) => `${group} ${name}`);

const DOCKER_COMMANDS = [
  ..."attach build commit cp create diff events exec export history images import info inspect kill load logs pause port ps pull push rename restart rm rmi run save start stats stop tag top unpause update version wait login logout search".split(
    " ",
  ),
  ..."checkpoint plugin config node secret service stack swarm".split(" "),
  ...below("builder", "build prune"),
  ...below(
    "container",
    "attach commit cp create diff exec export inspect kill logs ls pause port prune rename restart rm run start stats stop top unpause update wait",
  ),
  ...below("context", "create export import inspect ls rm show update use"),
  ...below("image", "build history import inspect load ls prune pull push rm save tag"),
  ...below("manifest", "annotate create inspect push rm"),
  ...below("network", "connect create disconnect inspect ls prune rm"),
  ...below("system", "df dial-stdio events info prune"),
  ...below("volume", "create inspect ls prune rm update"),
];
