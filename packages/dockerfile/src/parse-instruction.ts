import { nearest } from "@slipway/base";
import type {
  ArgInstruction,
  EnvInstruction,
  FromInstruction,
  LabelInstruction,
  OnbuildInstruction,
  StageInstruction,
} from "./instructions.ts";
import { parseAdd, parseCopy } from "./parse-copy.ts";
import { parseHealthcheck } from "./parse-healthcheck.ts";
import { parseRun } from "./parse-run.ts";
import {
  commandLine,
  common,
  flagsOf,
  listOrWords,
  noFlags,
  oneArgument,
  problem,
  type Statement,
  statementOf,
} from "./statement.ts";
import { blankDelimited, keyValues, quotedWords } from "./words.ts";

/** By keyword in lower case; FROM opens a stage and stands apart. */
const PARSERS: ReadonlyMap<string, (statement: Statement) => StageInstruction> = new Map<
  string,
  (statement: Statement) => StageInstruction
>([
  ["add", parseAdd],
  ["arg", parseArg],
  ["cmd", (statement) => ({ kind: "cmd", ...common(statement), command: unflagged(statement, commandLine) })],
  ["copy", parseCopy],
  [
    "entrypoint",
    (statement) => ({ kind: "entrypoint", ...common(statement), command: unflagged(statement, commandLine) }),
  ],
  ["env", parseEnv],
  ["expose", parseExpose],
  ["healthcheck", parseHealthcheck],
  ["label", parseLabel],
  ["maintainer", (statement) => ({ kind: "maintainer", ...common(statement), maintainer: oneArgument(statement) })],
  ["onbuild", parseOnbuild],
  ["run", parseRun],
  ["shell", parseShell],
  ["stopsignal", (statement) => ({ kind: "stopsignal", ...common(statement), signal: oneArgument(statement) })],
  ["user", (statement) => ({ kind: "user", ...common(statement), user: oneArgument(statement) })],
  ["volume", parseVolume],
  ["workdir", (statement) => ({ kind: "workdir", ...common(statement), path: oneArgument(statement) })],
]);

export const KEYWORDS: readonly string[] = [...PARSERS.keys(), "from"].map((name) => name.toUpperCase());

/** Everything but FROM. Throws `invalid` without a place. */
export function parseStageInstruction(statement: Statement): StageInstruction {
  const parser = PARSERS.get(statement.keyword.toLowerCase());
  if (parser !== undefined) return parser(statement);
  const near = nearest(statement.name, KEYWORDS);
  throw problem(`unknown instruction: ${statement.keyword}`, {
    needle: statement.keyword,
    hint:
      near !== undefined
        ? `Did you mean ${near}?`
        : `If the line belongs to the one above, that one must end with ${statement.escape}. Instructions are ${KEYWORDS.join(", ")}.`,
  });
}

export function parseFrom(statement: Statement): FromInstruction {
  const platform = flagsOf(statement, { platform: "text" }).text("platform");
  const words = blankDelimited(statement.rest);
  const [image, as, alias] = words;
  const named = words.length === 3 && as?.toLowerCase() === "as";
  if (image === undefined || !(words.length === 1 || named)) {
    throw problem("FROM requires either one or three arguments", { hint: "Write FROM image or FROM image AS name." });
  }
  if (alias !== undefined && !/^[a-z][a-z0-9-_.]*$/i.test(alias)) {
    throw problem(`invalid name for build stage: '${alias}', name can't start with a number or contain symbols`, {
      needle: alias,
      hint: "A name begins with a letter; letters, digits, '-', '_' and '.' follow.",
    });
  }
  return {
    kind: "from",
    ...common(statement),
    image,
    ...(platform === undefined ? {} : { platform }),
    ...(alias === undefined ? {} : { alias }),
  };
}

function unflagged<T>(statement: Statement, read: (statement: Statement) => T): T {
  noFlags(statement);
  return read(statement);
}

function parseArg(statement: Statement): ArgInstruction {
  noFlags(statement);
  const words = quotedWords(statement.rest, statement.escape);
  if (words.length === 0)
    throw problem("ARG requires at least one argument", { hint: "Write ARG name or ARG name=value." });
  const args = words.map((word) => {
    const equals = word.indexOf("=");
    if (equals === 0) throw problem("ARG names can not be blank", { needle: word });
    const name = equals < 0 ? word : word.slice(0, equals);
    const description = descriptionOf(statement.line.comments, name);
    return {
      name,
      ...(equals < 0 ? {} : { value: word.slice(equals + 1) }),
      ...(description === undefined ? {} : { description }),
    };
  });
  return { kind: "arg", ...common(statement), args };
}

function parseEnv(statement: Statement): EnvInstruction {
  return { kind: "env", ...common(statement), pairs: pairsOf(statement) };
}

function parseLabel(statement: Statement): LabelInstruction {
  return { kind: "label", ...common(statement), pairs: pairsOf(statement) };
}

function pairsOf(statement: Statement): EnvInstruction["pairs"] {
  noFlags(statement);
  const { pairs } = keyValues(statement.rest, statement.name, statement.escape);
  if (pairs.length === 0) throw problem(`${statement.name} requires at least one argument`);
  return pairs;
}

function parseExpose(statement: Statement): StageInstruction {
  noFlags(statement);
  const ports = blankDelimited(statement.rest);
  if (ports.length === 0) throw problem("EXPOSE requires at least one argument");
  return { kind: "expose", ...common(statement), ports };
}

function parseVolume(statement: Statement): StageInstruction {
  noFlags(statement);
  const paths = listOrWords(statement).map((path) => path.trim());
  if (paths.length === 0) throw problem("VOLUME requires at least one argument");
  if (paths.includes("")) throw problem("VOLUME specified can not be an empty string");
  return { kind: "volume", ...common(statement), paths };
}

function parseShell(statement: Statement): StageInstruction {
  noFlags(statement);
  const command = commandLine(statement);
  if (command.form === "shell") {
    throw problem("SHELL requires the arguments to be in JSON form", {
      hint: `Write SHELL ${JSON.stringify(blankDelimited(statement.rest))}.`,
    });
  }
  if (command.args.length === 0) throw problem("SHELL requires at least one argument");
  return { kind: "shell", ...common(statement), shell: command.args };
}

function parseOnbuild(statement: Statement): OnbuildInstruction {
  noFlags(statement);
  if (statement.rest === "") throw problem("ONBUILD requires at least one argument");
  const inner = statementOf(statement.source, statement.line, statement.escape, statement.rest);
  if (inner.name === "ONBUILD") throw problem("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (inner.name === "FROM" || inner.name === "MAINTAINER") {
    throw problem(`${inner.name} isn't allowed as an ONBUILD trigger`, { needle: inner.keyword });
  }
  const bodies = statement.line.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
  return {
    kind: "onbuild",
    ...common(statement),
    trigger: statement.rest + bodies.join(""),
    instruction: { ...parseStageInstruction(inner), original: statement.rest },
  };
}

/** The text of a comment `# <name> text` directly above an instruction. */
export function descriptionOf(comments: readonly string[], name: string): string | undefined {
  return comments.find((comment) => comment.startsWith(`${name} `))?.slice(name.length + 1);
}
