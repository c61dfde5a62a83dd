import { heredocsOf } from "./heredoc.ts";
import type { AddInstruction, CopyInstruction, CopySource, Heredoc } from "./instructions.ts";
import { common, flagsOf, listOrWords, problem, type Statement } from "./statement.ts";
import { blankDelimited, jsonForm } from "./words.ts";

export function parseCopy(statement: Statement): CopyInstruction {
  const flags = flagsOf(statement, {
    from: "text",
    chown: "text",
    chmod: "text",
    link: "boolean",
    parents: "boolean",
    exclude: "list",
  });
  const from = flags.text("from");
  const chown = flags.text("chown");
  const chmod = flags.text("chmod");
  if (from?.includes("$")) {
    throw problem("'--from' doesn't support variable expansion", {
      needle: `--from=${from}`,
      hint: "Define a stage with the variable (FROM $image AS name) and use its name.",
    });
  }
  return {
    kind: "copy",
    ...common(statement),
    ...sourcesAndDestination(statement),
    ...(from ? { from } : {}),
    ...(chown === undefined ? {} : { chown }),
    ...(chmod === undefined ? {} : { chmod }),
    link: flags.boolean("link") ?? false,
    parents: flags.boolean("parents") ?? false,
    exclude: flags.list("exclude"),
  };
}

export function parseAdd(statement: Statement): AddInstruction {
  const flags = flagsOf(statement, {
    chown: "text",
    chmod: "text",
    link: "boolean",
    "keep-git-dir": "boolean",
    checksum: "text",
    unpack: "boolean",
    exclude: "list",
  });
  const chown = flags.text("chown");
  const chmod = flags.text("chmod");
  const checksum = flags.text("checksum");
  const keepGitDir = flags.boolean("keep-git-dir");
  const unpack = flags.boolean("unpack");
  return {
    kind: "add",
    ...common(statement),
    ...sourcesAndDestination(statement),
    ...(chown === undefined ? {} : { chown }),
    ...(chmod === undefined ? {} : { chmod }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(keepGitDir === undefined ? {} : { keepGitDir }),
    ...(unpack === undefined ? {} : { unpack }),
    link: flags.boolean("link") ?? false,
    exclude: flags.list("exclude"),
  };
}

function sourcesAndDestination(statement: Statement): { sources: readonly CopySource[]; destination: string } {
  const words = statement.line.heredocs.length === 0 ? paths(statement) : pathsAndHeredocs(statement);
  const destination = words.at(-1);
  if (destination === undefined) throw problem(`${statement.name} requires at least two arguments`);
  if (destination.kind === "heredoc") {
    throw problem(`${statement.name} cannot have a heredoc as its destination`, {
      hint: "Write the destination path after the heredoc words.",
    });
  }
  if (words.length === 1) {
    throw problem(`${statement.name} requires at least two arguments, but only one was provided`, {
      hint: `The last argument is the destination: ${statement.name} ${destination.path} /destination`,
    });
  }
  return { sources: words.slice(0, -1), destination: destination.path };
}

function paths(statement: Statement): CopySource[] {
  return listOrWords(statement).map((path) => ({ kind: "path", path }));
}

/** Words parted by blanks, where each announcement of a heredoc is one, also with blanks or quotes in its name. */
function pathsAndHeredocs(statement: Statement): CopySource[] {
  if (jsonForm(statement.rest).kind === "array") return paths(statement);
  const starts = heredocsOf(statement.rest, statement.escape);
  const bodies: readonly Heredoc[] = statement.line.heredocs;
  const words: CopySource[] = [];
  let position = 0;
  for (const [index, start] of starts.entries()) {
    const heredoc = bodies[index];
    if (heredoc === undefined) break;
    for (const path of blankDelimited(statement.rest.slice(position, start.start))) words.push({ kind: "path", path });
    words.push({ kind: "heredoc", heredoc });
    position = start.end;
  }
  for (const path of blankDelimited(statement.rest.slice(position))) words.push({ kind: "path", path });
  return words;
}
