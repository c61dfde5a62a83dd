import { SlipwayError } from "@slipway/base";
import { TREE } from "./command-tree.ts";
import { ApiError, ConnectionError, ExitError } from "./errors.ts";
import { GLOBAL_FLAGS } from "./global-flags.ts";
import type { Command, CommandEntry, Entry, GroupEntry } from "./grammar/command.ts";
import { FlagError, parseFlags } from "./grammar/parse-flags.ts";
import type { Io } from "./io.ts";
import { Session } from "./session.ts";
import { versionLine } from "./version.ts";

export const PROGRAM = "slipway";

/** Docker's exit code for a command line that cannot be understood. */
const USAGE_STATUS = 125;

/** What a shell sees of a program that SIGPIPE ended. */
const BROKEN_PIPE = 141;

/** Runs one command line (without the program's name) and returns its exit code. Never throws. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  let status: number;
  try {
    status = await dispatch(argv, io);
  } catch (error) {
    status = report(error, io);
  }
  try {
    await Promise.all([io.stdout.flush(), io.stderr.flush()]);
  } catch (error) {
    // Whoever read us has left: that is how `slipway ps | head` ends.
    if (isBrokenPipe(error)) return status === 0 ? BROKEN_PIPE : status;
    io.stderr.write(`${PROGRAM}: cannot write the output: ${(error as Error).message}\n`);
    await io.stderr.flush().catch(() => {});
    return 1;
  }
  return status;
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const global = parseGlobal(argv, io);
  if (typeof global === "number") return global;
  if (global.help || (global.positionals.length === 0 && !global.values.version)) {
    const session = new Session(io, PROGRAM, global.values);
    return await (await import("./help-command.ts")).printRootHelp(session);
  }
  if (global.values.version) {
    io.stdout.write(`${versionLine()}\n`);
    return 0;
  }
  const found = find(global.positionals);
  const session = new Session(io, found.path, global.values);
  if (found.entry.kind === "command") return await runCommand(found.entry, found.rest, session);
  const { answerWithoutCommand } = await import("./help-command.ts");
  return await answerWithoutCommand({ ...found, entry: found.entry }, session, argv);
}

function parseGlobal(argv: readonly string[], io: Io) {
  try {
    return parseFlags(GLOBAL_FLAGS, argv, { interspersed: false });
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.stderr.write(usageError(error, `${PROGRAM} [OPTIONS] COMMAND [ARG...]`, PROGRAM));
    return USAGE_STATUS;
  }
}

export interface Found<E extends Entry = Entry> {
  readonly entry: E;
  /** `slipway container ls`. */
  readonly path: string;
  readonly rest: readonly string[];
}

/** Goes down the tree as far as the words lead. */
function find(words: readonly string[]): Found {
  let entry: Entry = TREE;
  let path = PROGRAM;
  let at = 0;
  while (entry.kind === "group") {
    const word = words[at];
    const next: Entry | undefined = word === undefined ? undefined : lookUp(entry, word);
    if (next === undefined) break;
    path += ` ${word}`;
    entry = next;
    at++;
  }
  return { entry, path, rest: words.slice(at) };
}

function lookUp(group: GroupEntry, name: string): Entry | undefined {
  return group.entries.find(
    (entry) => entry.name === name || (entry.kind !== "group" && entry.aliases?.includes(name)),
  );
}

async function runCommand(entry: CommandEntry, argv: readonly string[], session: Session): Promise<number> {
  const command = await entry.load();
  const { io, commandPath } = session;
  let parsed: ReturnType<typeof parseFlags>;
  try {
    const words = command.raw === true && argv[0] !== "--help" ? ["--", ...argv] : argv;
    parsed = parseFlags(command.flags, words, { interspersed: command.interspersed ?? true });
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.stderr.write(usageError(error, usage(commandPath, command), commandPath));
    return USAGE_STATUS;
  }
  if (parsed.help) return await (await import("./help-command.ts")).printCommandHelp(entry, command, session);
  const wrong = wrongCount(command, parsed.positionals.length);
  if (wrong !== undefined) {
    io.stderr.write(
      `${PROGRAM}: '${commandPath}' ${wrong}\n\nUsage:  ${usage(commandPath, command)}\n\nRun '${commandPath} --help' for more information\n`,
    );
    return 1;
  }
  const invocation = {
    flags: parsed.values,
    given: (name: string) => parsed.given.has(name),
    args: parsed.positionals,
    session,
  };
  return (await command.run(invocation)) ?? 0;
}

function usage(path: string, command: Command): string {
  return command.usage === "" ? path : `${path} ${command.usage}`;
}

function usageError(error: FlagError, usageText: string, path: string): string {
  const suggestion = error.suggestion === undefined ? "" : `\nDid you mean ${error.suggestion}?\n`;
  return `${error.message}\n${suggestion}\nUsage:  ${usageText}\n\nRun '${path} --help' for more information\n`;
}

function wrongCount({ args: { min, max } }: Command, count: number): string | undefined {
  if (count >= min && count <= max) return undefined;
  const words = (number: number) => `${number} argument${number === 1 ? "" : "s"}`;
  if (max === 0) return "accepts no arguments";
  if (min === max) return `requires ${words(min)}`;
  return count < min ? `requires at least ${words(min)}` : `requires at most ${words(max)}`;
}

/** What failed, why, what to do: one form for every error, and never a stack. */
export function report(error: unknown, io: Io): number {
  if (error instanceof ExitError) {
    if (error.message !== "") io.stderr.write(`${error.message}\n`);
    if (error.hint !== undefined) io.stderr.write(`${error.hint}\n`);
    return error.status;
  }
  if (error instanceof ApiError || error instanceof ConnectionError || error instanceof SlipwayError) {
    io.stderr.write(`${error.message}\n${error.hint === undefined ? "" : `${error.hint}\n`}`);
    return 1;
  }
  if (error instanceof Error && error.name === "AbortError") return 130;
  if (isBrokenPipe(error)) return BROKEN_PIPE;
  if (hasCode(error, "ECONNRESET")) {
    io.stderr.write("The engine closed the connection: it has ended, or was restarted.\n");
    return 1;
  }
  io.stderr.write(`${PROGRAM}: ${error instanceof Error ? error.message : String(error)}\n`);
  if (io.env.SLIPWAY_DEBUG && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return 1;
}

function isBrokenPipe(error: unknown): boolean {
  return hasCode(error, "EPIPE");
}

function hasCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown } | undefined)?.code === code;
}
