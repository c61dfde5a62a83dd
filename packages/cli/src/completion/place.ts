import { TREE } from "../command-tree.ts";
import { GLOBAL_FLAGS } from "../global-flags.ts";
import type { Command, Entry, GroupEntry } from "../grammar/command.ts";
import type { Flag, Flags } from "../grammar/flag.ts";

/** Where in a command line the cursor is: what may stand there. */
export type Place =
  | { readonly kind: "command"; readonly group: GroupEntry; readonly partial: string }
  | { readonly kind: "flag"; readonly flags: Flags; readonly partial: string }
  | {
      readonly kind: "value";
      readonly name: string;
      readonly flag: Flag;
      readonly path: readonly string[];
      readonly partial: string;
      /** What stands before the value in the same word: `--network=`. */
      readonly prefix: string;
    }
  | {
      readonly kind: "argument";
      readonly path: readonly string[];
      readonly command: Command;
      readonly before: readonly string[];
      readonly partial: string;
    };

/** What the words before the cursor have said. */
interface Walk {
  readonly globals: Map<string, string>;
  path: string[];
  entry: Entry;
  command: Command | undefined;
  args: string[];
  /** A flag that waits for its value. */
  waiting: { readonly name: string; readonly flag: Flag } | undefined;
  /** Flags can no longer come: after `--`, or after the image of `run`. */
  onlyArguments: boolean;
}

/**
 * Reads a command line without the program's name, its last word being the one at the cursor (perhaps empty). Nothing
 * is refused: whoever is still typing makes no mistakes. `globals` are the global flags that had a value.
 */
export async function placeOf(
  words: readonly string[],
): Promise<{ readonly place: Place | undefined; readonly globals: ReadonlyMap<string, string> }> {
  const walk: Walk = {
    globals: new Map(),
    path: [],
    entry: TREE,
    command: undefined,
    args: [],
    waiting: undefined,
    onlyArguments: false,
  };
  for (const word of words.slice(0, -1)) await take(walk, word);
  return { place: placeAt(walk, words.at(-1) ?? ""), globals: walk.globals };
}

async function take(walk: Walk, word: string): Promise<void> {
  if (walk.waiting !== undefined) {
    if (walk.command === undefined) walk.globals.set(walk.waiting.name, word);
    walk.waiting = undefined;
  } else if (!walk.onlyArguments && word.startsWith("-") && word !== "-") takeFlag(walk, word);
  else await takeWord(walk, word);
}

function takeFlag(walk: Walk, word: string): void {
  if (word === "--") {
    walk.onlyArguments = true;
    return;
  }
  const flags = flagsAt(walk);
  if (word.startsWith("--")) {
    const [name = "", value] = word.slice(2).split(/=(.*)/s);
    const flag = flags[name];
    if (flag === undefined) return;
    if (value !== undefined && walk.command === undefined) walk.globals.set(name, value);
    if (value === undefined && needsValue(flag)) walk.waiting = { name, flag };
    return;
  }
  // Of `-itv` only the last letter can wait for a value.
  const letter = word.at(-1);
  const found = Object.entries(flags).find(([, flag]) => flag.short === letter);
  if (found !== undefined && needsValue(found[1])) walk.waiting = { name: found[0], flag: found[1] };
}

async function takeWord(walk: Walk, word: string): Promise<void> {
  if (walk.command !== undefined) {
    walk.args.push(word);
    if (walk.command.interspersed === false) walk.onlyArguments = true;
    return;
  }
  if (walk.entry.kind !== "group") return;
  const next = walk.entry.entries.find(
    (entry) => entry.name === word || (entry.kind !== "group" && entry.aliases?.includes(word)),
  );
  if (next === undefined) return;
  walk.entry = next;
  walk.path.push(next.name);
  if (next.kind === "command") walk.command = await next.load();
}

function needsValue(flag: Flag): boolean {
  return flag.kind !== "bool" && flag.bare === undefined;
}

function flagsAt(walk: Walk): Flags {
  if (walk.command !== undefined) return walk.command.flags;
  return walk.entry === TREE ? GLOBAL_FLAGS : {};
}

function placeAt(walk: Walk, partial: string): Place | undefined {
  const { path, command } = walk;
  if (walk.waiting !== undefined) return { kind: "value", ...walk.waiting, path, partial, prefix: "" };
  if (!walk.onlyArguments && partial.startsWith("-")) {
    const flags = flagsAt(walk);
    const [whole, name = "", value] = /^--([^=]+)=(.*)$/s.exec(partial) ?? [];
    const flag = whole === undefined ? undefined : flags[name];
    if (flag === undefined || value === undefined) return { kind: "flag", flags, partial };
    return { kind: "value", name, flag, path, partial: value, prefix: `--${name}=` };
  }
  if (command !== undefined) return { kind: "argument", path, command, before: walk.args, partial };
  return walk.entry.kind === "group" ? { kind: "command", group: walk.entry, partial } : undefined;
}
