import { isError, nearest } from "@slipway/base";
import { chompTabs } from "./heredoc.ts";
import type { MountFlag, RunInstruction, RunProgram } from "./instructions.ts";
import { checkMount } from "./mount.ts";
import { commandLine, common, flagsOf, locate, problem, type Statement } from "./statement.ts";

const NETWORKS = ["default", "none", "host"] as const;
const SECURITY = ["sandbox", "insecure"] as const;

export function parseRun(statement: Statement): RunInstruction {
  const flags = flagsOf(statement, { mount: "list", network: "text", security: "text", device: "list" });
  const command = commandLine(statement);
  if (command.form === "exec" && command.args.length === 0) throw problem("RUN requires at least one argument");
  return {
    kind: "run",
    ...common(statement),
    command,
    heredocs: statement.line.heredocs,
    program: programOf(statement, command),
    mounts: flags.list("mount").map((text) => mountFlag(statement, text)),
    network: choice(flags.text("network"), NETWORKS, "network"),
    security: choice(flags.text("security"), SECURITY, "security"),
    devices: flags.list("device").map(device),
  };
}

/**
 * A line that is nothing but one heredoc runs the body: through the shell, or as a file of its own when it begins with
 * `#!`. Everything else goes to the shell as it stands, bodies with it, and the shell reads the heredocs.
 */
function programOf(statement: Statement, command: RunInstruction["command"]): RunProgram {
  const { heredocs, heredocStarts } = statement.line;
  const [only] = heredocs;
  if (command.form === "exec" || only === undefined) return command;
  const [start] = heredocStarts;
  const alone = heredocs.length === 1 && start !== undefined && command.line.length === start.end - start.start;
  if (!alone) {
    const bodies = heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
    return { form: "shell", line: command.line + bodies.join("") };
  }
  const content = only.chomp ? chompTabs(only.content) : only.content;
  return content.startsWith("#!") ? { form: "script", name: only.name, content } : { form: "shell", line: content };
}

function mountFlag(statement: Statement, text: string): MountFlag {
  const range = locate(statement.source, statement.line.range, text);
  try {
    const from = checkMount(text);
    return { text, range, ...(from === undefined ? {} : { from }) };
  } catch (error) {
    if (!isError(error, "invalid")) throw error;
    throw problem(error.message, { needle: text, ...(error.hint === undefined ? {} : { hint: error.hint }) });
  }
}

function choice<T extends string>(text: string | undefined, values: readonly [T, ...T[]], what: string): T {
  if (text === undefined) return values[0];
  const value = values.find((known) => known === text);
  if (value !== undefined) return value;
  const near = nearest(text, values);
  throw problem(`unsupported ${what} mode '${text}'`, {
    needle: text,
    hint: near === undefined ? `Use ${values.join(", ")}.` : `Did you mean ${near}?`,
  });
}

function device(text: string): { name: string; required: boolean } {
  const [name = "", ...options] = text.split(",");
  let required = false;
  for (const option of options) {
    if (option !== "required" && option !== "required=true" && option !== "required=false") {
      throw problem(`unexpected key '${option}' in '--device=${text}'`, {
        needle: text,
        hint: "Write --device=NAME or --device=NAME,required.",
      });
    }
    required = option !== "required=false";
  }
  if (name === "") throw problem("a device needs a name", { needle: "--device" });
  return { name: name.replace(/^name=/, ""), required };
}
