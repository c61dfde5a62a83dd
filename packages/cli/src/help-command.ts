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

export async function printRootHelp(io: Io, to: "stdout" | "stderr"): Promise<number> {
  const commands = TREE.entries.filter((entry) => entry.kind === "command");
  const groups = TREE.entries.filter(
    (entry) => entry.kind === "group" && entry.entries.some(({ kind }) => kind !== "absent"),
  );
  const text = [
    `Usage:  ${PROGRAM} [OPTIONS] COMMAND`,
    "Build, run and understand containers",
    `Common Commands:\n${entryLines(commands.filter(({ name }) => COMMON.includes(name))).join("\n")}`,
    `Management Commands:\n${entryLines(groups).join("\n")}`,
    `Commands:\n${entryLines(commands.filter(({ name }) => !COMMON.includes(name))).join("\n")}`,
    optionsSection(GLOBAL_FLAGS, columnsOf(io), "Global Options"),
    `Run '${PROGRAM} COMMAND --help' for more information on a command.`,
  ];
  io[to].write(`${text.join("\n\n")}\n`);
  return 0;
}

export async function printCommandHelp(entry: CommandEntry, command: Command, session: Session): Promise<number> {
  session.io.stdout.write(commandHelp(session.commandPath, entry, command, columnsOf(session.io)));
  return 0;
}

/** The words led to a group or to a command that is not here. */
export async function answerWithoutCommand(found: Found<Exclude<Entry, CommandEntry>>, io: Io): Promise<number> {
  const { entry, path, rest } = found;
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
  if (path === PROGRAM && word === "help") return await printHelpOf(rest.slice(1), io);
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

async function printHelpOf(words: readonly string[], io: Io): Promise<number> {
  if (words.length === 0) return await printRootHelp(io, "stdout");
  const { runCli } = await import("./run-cli.ts");
  return await runCli([...words, "--help"], io);
}

function columnsOf(io: Io): number {
  return io.stdout.isTerminal() ? Math.max(io.stdout.size().columns, 40) : 80;
}

export type { GroupEntry };
