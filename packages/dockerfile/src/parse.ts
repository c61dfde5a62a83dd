import { warningApplies } from "./checks.ts";
import { CHECK_COMMENT, type RuleSet, readCheck, readDirectives } from "./directives.ts";
import type { Dockerfile, Stage } from "./dockerfile.ts";
import type { EscapeCharacter } from "./expand.ts";
import { fileChecks, lineChecks } from "./file-checks.ts";
import type { ArgInstruction, Instruction, StageInstruction } from "./instructions.ts";
import { type LogicalLine, logicalLines } from "./lines.ts";
import { descriptionOf, parseFrom, parseStageInstruction } from "./parse-instruction.ts";
import type { Warning } from "./rules.ts";
import { type SourceText, sourceError, sourceText } from "./source.ts";
import { placed, problem, type Statement, statementOf } from "./statement.ts";

export interface ParseOptions {
  /** The name for messages and ranges: `Dockerfile` unless told. */
  readonly file?: string;
}

/** Characters; a Dockerfile beyond this is something else under that name. */
const MAX_SIZE = 4 * 1024 * 1024;
/** Some checks compare instructions with each other; this keeps a hostile file from taking seconds. */
const MAX_INSTRUCTIONS = 10_000;

/** Throws `invalid` with `details.source` and a message that shows the lines. */
export function parseDockerfile(text: string | Uint8Array, options: ParseOptions = {}): Dockerfile {
  const source = readText(text, options.file ?? "Dockerfile");
  const { bodyLine, ...directives } = readDirectives(source);
  const lines = logicalLines(source, directives.escape, bodyLine);
  if (lines.length === 0) throw withoutInstructions(source);
  const tooMany = lines[MAX_INSTRUCTIONS];
  if (tooMany !== undefined) {
    throw sourceError(source, tooMany.range, { message: `the file has over ${MAX_INSTRUCTIONS} instructions` });
  }
  if (source.lines[0]?.trimStart().startsWith("{") && directives.syntax) {
    throw sourceError(
      source,
      { file: source.file, startLine: 1, endLine: 1 },
      {
        message: `this is a JSON document for the front end ${directives.syntax.reference}, not a Dockerfile`,
      },
    );
  }
  const assembly = new Assembly();
  const statements: Statement[] = [];
  for (const line of lines) {
    const statement = statementOf(source, line, directives.escape);
    statements.push(statement);
    placed(source, line.range, () => assembly.add(statement));
  }
  const stages = assembly.finish(source);
  const parsed = { source, directives, globalArgs: assembly.globalArgs, stages, skips: skipsOf(source, lines) };
  const found = [...assembly.warnings, ...fileChecks({ ...parsed, escape: directives.escape }, statements)];
  const warnings = found.filter((each) => warningApplies(parsed, each));
  return { ...parsed, warnings: warnings.sort((a, b) => a.range.startLine - b.range.startLine) };
}

/** An `OnBuild` entry of an image. The ranges count within the trigger; `file` says whose it is. Throws `invalid`. */
export function parseTrigger(
  trigger: string,
  options: ParseOptions & { readonly escape?: EscapeCharacter } = {},
): StageInstruction {
  const source = readText(trigger, options.file ?? "ONBUILD");
  const escapeChar = options.escape ?? "\\";
  const [line, more] = logicalLines(source, escapeChar);
  if (line === undefined) throw withoutInstructions(source);
  if (more !== undefined) throw sourceError(source, more.range, { message: "a trigger has one instruction" });
  return placed(source, line.range, () => {
    const statement = statementOf(source, line, escapeChar);
    if (["FROM", "MAINTAINER", "ONBUILD"].includes(statement.name)) {
      throw problem(`${statement.name} isn't allowed as an ONBUILD trigger`, { needle: statement.keyword });
    }
    return parseStageInstruction(statement);
  });
}

/** Instructions on their way into stages. */
class Assembly {
  readonly globalArgs: ArgInstruction[] = [];
  readonly warnings: Warning[] = [];
  readonly #stages: (Stage & { readonly instructions: StageInstruction[] })[] = [];

  add(statement: Statement): void {
    const instruction = this.#place(statement);
    this.warnings.push(...lineChecks(statement, instruction));
  }

  #place(statement: Statement): Instruction {
    if (statement.name === "FROM") return this.#open(statement);
    const instruction = parseStageInstruction(statement);
    const stage = this.#stages.at(-1);
    if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === "arg") this.globalArgs.push(instruction);
    else {
      throw problem(`no build stage in current context: ${statement.name} before the first FROM`, {
        needle: statement.keyword,
        hint: "Only ARG, comments and directives may stand before the first FROM.",
      });
    }
    return instruction;
  }

  #open(statement: Statement): Instruction {
    const from = parseFrom(statement);
    const index = this.#stages.length;
    const description = from.alias && descriptionOf(statement.line.comments, from.alias);
    this.#stages.push({
      index,
      from,
      instructions: [],
      ...(from.alias === undefined ? {} : { name: from.alias.toLowerCase() }),
      ...(description ? { description } : {}),
    });
    return from;
  }

  finish(source: SourceText): readonly Stage[] {
    const last = this.globalArgs.at(-1);
    if (this.#stages.length > 0 || last === undefined) return this.#stages;
    throw sourceError(source, last.range, {
      message: "the file has no FROM: there is no stage to build",
      hint: "Add FROM image; FROM scratch begins with nothing.",
    });
  }
}

function readText(text: string | Uint8Array, file: string): SourceText {
  const decoded = typeof text === "string" ? text : new TextDecoder("utf-8", { ignoreBOM: true }).decode(text);
  const source = sourceText(file, decoded.startsWith("\ufeff") ? decoded.slice(1) : decoded);
  const range = { file, startLine: 1, endLine: 1 };
  if (decoded.length > MAX_SIZE) {
    throw sourceError(source, range, { message: `the file is too large (${decoded.length} characters)` });
  }
  const binary = source.lines.findIndex((line) => line.includes("\0"));
  if (binary >= 0) {
    throw sourceError(
      source,
      { file, startLine: binary + 1, endLine: binary + 1 },
      {
        message: "the file is not text: it has NUL bytes",
        hint: "Save it as UTF-8.",
      },
    );
  }
  return source;
}

function withoutInstructions(source: SourceText): Error {
  return sourceError(
    source,
    { file: source.file, startLine: 1, endLine: 1 },
    {
      message: "file with no instructions",
      hint: "A Dockerfile begins with FROM image.",
    },
  );
}

/** `# check=skip=Rule` directly above an instruction is for that instruction. */
function skipsOf(source: SourceText, lines: readonly LogicalLine[]): ReadonlyMap<number, RuleSet> {
  const skips = new Map<number, RuleSet>();
  for (const { comments, range } of lines) {
    for (const comment of comments) {
      const value = CHECK_COMMENT.exec(comment)?.[1];
      if (value !== undefined) skips.set(range.startLine, readCheck(source, value, range).skip);
    }
  }
  return skips;
}
