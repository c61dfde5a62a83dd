import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TREE } from "./command-tree.ts";
import type { GroupEntry } from "./grammar/command.ts";
import { parseFlags } from "./grammar/parse-flags.ts";
import { commandReference } from "./reference.ts";

test("docs/commands.md is what the command table says; if not: bun scripts/write-reference.ts", async () => {
  const written = readFileSync(join(import.meta.dir, "../../../docs/commands.md"), "utf8");
  expect(written === (await commandReference())).toBe(true);
});

test("the reference has each command once, and all of its options", async () => {
  const headings = (await commandReference()).match(/^## slipway .*$/gm) ?? [];
  expect(new Set(headings).size).toBe(headings.length);
  for (const name of ["run", "ps", "image diff", "network create", "system prune", "context use"]) {
    expect(headings).toContain(`## slipway ${name}`);
  }
});

/** Commands without an example: those of programs, those that take nothing, and those of lists that others explain. */
const WITHOUT =
  /^(slipway (supervisor|daemon|context|manifest|registry|buildx|system (dial-stdio|prune)|completion|builder|volume inspect|network inspect|container inspect))/;

test("commands have examples, which they understand", async () => {
  const bare: string[] = [];
  const visit = async (group: GroupEntry, path: string): Promise<void> => {
    for (const entry of group.entries) {
      const name = `${path} ${entry.name}`;
      if (entry.kind === "group" && entry.name !== "buildx") await visit(entry, name);
      if (entry.kind !== "command" || entry.hidden === true) continue;
      const { examples = [], flags, interspersed = true } = await entry.load();
      if (examples.length === 0 && !WITHOUT.test(name)) bare.push(name);
      for (const [line] of examples) {
        // Of a pipe the part that is ours.
        const [, called = ""] = /(?:^|\| |\(|sudo )slipway (.*?)( [|>] .*|\))?$/.exec(line) ?? [];
        const words = [...called.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
          (match) => match[1] ?? match[2] ?? match[3] ?? "",
        );
        const names = [name, `slipway ${entry.name}`, ...(entry.also ?? []).map((also) => `slipway ${also}`)];
        const own = names.find((known) => `slipway ${called} `.startsWith(`${known} `)) ?? "";
        expect(called, line).not.toBe("");
        // Some show what belongs to it.
        if (own === "") continue;
        parseFlags(flags, words.slice(own.split(" ").length - 1), { interspersed });
      }
    }
  };
  await visit(TREE, "slipway");
  expect(bare).toEqual([]);
});
