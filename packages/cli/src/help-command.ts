import { nearest } from "@slipway/base";
import { TREE } from "./command-tree.ts";
import { GLOBAL_FLAGS } from "./global-flags.ts";
import type { Command, CommandEntry, Entry, GroupEntry } from "./grammar/command.ts";
import { commandHelp, entryLines, groupHelp, optionsSection } from "./grammar/help.ts";
import type { Io } from "./io.ts";
import type { Found } from "./run-cli.ts";
import type { Session } from "./session.ts";

const PROGRAM = "slipway";
const COMMON = ["run", "exec", "ps", "build", "images", "logs", "version", "info"];

export async function printRootHelp(session: Session): Promise<number> {
  const { io } = session;
  const hidesLegacy = Boolean(io.env.DOCKER_HIDE_LEGACY_COMMANDS);
  const commands = TREE.entries.filter(
    (entry) => entry.kind === "command" && !(hidesLegacy && isLegacy(entry) && !COMMON.includes(entry.name)),
  );
  const groups = TREE.entries.filter(
    (entry) => entry.kind === "group" && entry.entries.some(({ kind }) => kind !== "absent"),
  );
  const text = [
    `Usage:  ${PROGRAM} [OPTIONS] COMMAND`,
    "Build, run and understand containers",
    `Common Commands:\n${entryLines(commands.filter(({ name }) => COMMON.includes(name))).join("\n")}`,
    `Management Commands:\n${entryLines(groups).join("\n")}`,
    ...(await pluginSection(session)),
    ...commandsSection(commands.filter(({ name }) => !COMMON.includes(name))),
    optionsSection(GLOBAL_FLAGS, columnsOf(io), "Global Options"),
    `Run '${PROGRAM} COMMAND --help' for more information on a command.`,
  ];
  io.stdout.write(`${text.join("\n\n")}\n`);
  return 0;
}

function commandsSection(commands: readonly Entry[]): string[] {
  return commands.length === 0 ? [] : [`Commands:\n${entryLines(commands).join("\n")}`];
}

/** One that stands at the top for its age only: a group has it too. */
function isLegacy(entry: CommandEntry): boolean {
  return entry.also?.some((path) => path.includes(" ")) === true;
}

async function pluginSection(session: Session): Promise<string[]> {
  const { describePlugins } = await import("./plugins/run-plugin.ts");
  const plugins = await describePlugins(session);
  if (plugins.length === 0) return [];
  return [`Plug-ins:\n${plugins.map(({ name, summary }) => `  ${name.padEnd(11)} ${summary}`).join("\n")}`];
}

export async function printCommandHelp(entry: CommandEntry, command: Command, session: Session): Promise<number> {
  session.io.stdout.write(commandHelp(session.commandPath, entry, command, columnsOf(session.io)));
  return 0;
}

/** The words (the tail of `argv`) led to a group or to a command that is not here: an installed plug-in may have it. */
export async function answerWithoutCommand(
  found: Found<Exclude<Entry, CommandEntry>>,
  session: Session,
  argv: readonly string[],
): Promise<number> {
  const { entry, path, rest } = found;
  const { io } = session;
  const name = path.split(" ")[1] ?? rest[0];
  if (name !== undefined && (entry.kind === "absent" || path === PROGRAM)) {
    const { runPlugin } = await import("./plugins/run-plugin.ts");
    const status = await runPlugin(name, argv, session);
    if (status !== undefined) return status;
  }
  if (entry.kind === "absent") {
    io.stderr.write(`${PROGRAM}: '${path.slice(PROGRAM.length + 1)}' ${entry.reason}\n`);
    return 1;
  }
  const [word] = rest;
  if (word === undefined) {
    io.stderr.write(groupHelp(path, entry));
    return 0;
  }
  if (word === "--help" || word === "-h") {
    io.stdout.write(groupHelp(path, entry));
    return 0;
  }
  if (path === PROGRAM && word === "help") return await printHelpOf(rest.slice(1), session);
  if (word.startsWith("-")) {
    io.stderr.write(`unknown flag: ${word}\n\nUsage:  ${path} COMMAND\n\nRun '${path} --help' for more information\n`);
    return 125;
  }
  const known = entry.entries.flatMap((candidate) => [
    candidate.name,
    ...(candidate.kind === "group" ? [] : (candidate.aliases ?? [])),
  ]);
  const suggestion = nearest(word, known);
  const what = path === PROGRAM ? `a ${PROGRAM} command` : `a command of '${path}'`;
  io.stderr.write(
    `${PROGRAM}: '${word}' is not ${what}\n${suggestion === undefined ? "" : `\nDid you mean '${path} ${suggestion}'?\n`}\nRun '${path} --help' for more information\n`,
  );
  return 1;
}

async function printHelpOf(words: readonly string[], session: Session): Promise<number> {
  if (words.length === 0) return await printRootHelp(session);
  const { runCli } = await import("./run-cli.ts");
  return await runCli([...words, "--help"], session.io);
}

function columnsOf(io: Io): number {
  return io.stdout.isTerminal() ? Math.max(io.stdout.size().columns, 40) : 80;
}

export type { GroupEntry };
