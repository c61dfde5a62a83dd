import { isError, nearest } from "@slipway/base";
import { parsePlatform, parseReference } from "@slipway/oci";
import { checkExpose } from "./checks.ts";
import { CHECK_COMMENT } from "./directives.ts";
import { AUTOMATIC_PLATFORM_ARGS, baseStage, type Stage } from "./dockerfile.ts";
import { type EscapeCharacter, expand } from "./expand.ts";
import type { ArgInstruction, Instruction, StageInstruction } from "./instructions.ts";
import { type Warning, warning } from "./rules.ts";
import type { Statement } from "./statement.ts";
import { blankDelimited, keyValues } from "./words.ts";

/** What the rules look at, beside the text of each line. */
export interface CheckedFile {
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly escape: EscapeCharacter;
}

/** The rules that see one line at a time. */
export function lineChecks(statement: Statement, instruction: Instruction): Warning[] {
  const { range } = statement.line;
  const found: Warning[] = [];
  if (statement.line.emptyContinuation) found.push(warning("NoEmptyContinuation", "Empty continuation line", range));
  switch (instruction.kind) {
    case "maintainer":
      found.push(
        warning("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", range),
      );
      break;
    case "env":
    case "label":
      if (keyValues(statement.rest, statement.name, statement.escape).legacy) {
        const message = `"${statement.name} key=value" should be used instead of legacy "${statement.name} key value" format`;
        found.push(warning("LegacyKeyValueFormat", message, range));
      }
      break;
    case "expose":
      found.push(
        ...checkExpose(
          instruction.ports.filter((word) => !word.includes("$")),
          range,
        ),
      );
      break;
    case "from":
      found.push(...fromKeywordCasing(statement));
      break;
  }
  return [...found, ...secretNames(instruction), ...descriptions(statement, instruction)];
}

function fromKeywordCasing(statement: Statement): Warning[] {
  const as = blankDelimited(statement.rest)[1];
  const from = statement.keyword;
  if (as === undefined) return [];
  const upper = from === from.toUpperCase() && as !== as.toUpperCase();
  const lower = from === from.toLowerCase() && as !== as.toLowerCase();
  if (!upper && !lower) return [];
  return [warning("FromAsCasing", `'${as}' and '${from}' keywords' casing do not match`, statement.line.range)];
}

const SECRET_NAME = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
/** A public key, the path of a file and a version are no secrets. */
const HARMLESS_NAME = /(?:_|^)(?:public|file|version)(?:_|$)/i;

function secretNames(instruction: Instruction): Warning[] {
  const names =
    instruction.kind === "arg"
      ? instruction.args.map((arg) => arg.name)
      : instruction.kind === "env"
        ? instruction.pairs.map((pair) => pair.key)
        : [];
  return names
    .filter((name) => SECRET_NAME.test(name) && !HARMLESS_NAME.test(name))
    .map((name) => {
      const message = `Do not use ARG or ENV instructions for sensitive data (${instruction.kind.toUpperCase()} "${name}")`;
      return warning("SecretsUsedInArgOrEnv", message, instruction.range);
    });
}

/** A comment directly above a named FROM or an ARG describes it, and then begins with its name. */
function descriptions(statement: Statement, instruction: Instruction): Warning[] {
  const { comments: all } = statement.line;
  // An empty comment parts what stands above it from the instruction, as a blank line does.
  const comments = all.slice(all.lastIndexOf("") + 1).filter((comment) => !CHECK_COMMENT.test(comment));
  const names =
    instruction.kind === "arg"
      ? instruction.args.map((arg) => arg.name)
      : instruction.kind === "from" && instruction.alias !== undefined
        ? [instruction.alias]
        : [];
  const [first] = names;
  if (first === undefined || comments.length === 0) return [];
  if (comments.some((comment) => names.some((name) => comment.startsWith(`${name} `)))) return [];
  const format = names.length === 1 ? first : `<${instruction.kind === "arg" ? "arg_key" : "stage_name"}>`;
  const message = `Comment for ${statement.name} should follow the format: \`# ${format} <description>\``;
  return [warning("InvalidDefinitionDescription", message, statement.line.range)];
}

/** The rules that see the whole file. */
export function fileChecks(file: CheckedFile, statements: readonly Statement[]): Warning[] {
  const found = [...keywordCasing(statements), ...stageNames(file.stages)];
  // What a stage hands on, by its name so far: each FROM finds its base without looking back through all stages.
  const named = new Map<string, Inheritance>();
  for (const stage of file.stages) {
    const inherited = named.get(stage.from.image.toLowerCase()) ?? { shell: false, workdir: false };
    found.push(...usedOnce(stage.instructions), ...shellForms(stage, inherited.shell));
    found.push(...workdirs(stage, inherited.workdir), ...platformFlag(stage));
    if (stage.name !== undefined) named.set(stage.name, handedOn(stage, inherited));
  }
  return [...found, ...fromArguments(file)];
}

/** Whether a stage, or one below it, has a SHELL and an absolute WORKDIR. */
interface Inheritance {
  readonly shell: boolean;
  readonly workdir: boolean;
}

function handedOn({ instructions }: Stage, inherited: Inheritance): Inheritance {
  return {
    shell: inherited.shell || instructions.some(({ kind }) => kind === "shell"),
    workdir: inherited.workdir || instructions.some(settlesWorkdir),
  };
}

function keywordCasing(statements: readonly Statement[]): Warning[] {
  const lower = statements.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = statements.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const wanted = lower > upper ? "lowercase" : "uppercase";
  return statements
    .filter(({ keyword, name }) => keyword !== (wanted === "lowercase" ? name.toLowerCase() : name))
    .map(({ keyword, line }) => {
      const message = `Command '${keyword}' should match the case of the command majority (${wanted})`;
      return warning("ConsistentInstructionCasing", message, line.range);
    });
}

function stageNames(stages: readonly Stage[]): Warning[] {
  const found: Warning[] = [];
  const seen = new Set<string>();
  for (const { name, from } of stages) {
    if (name === undefined) continue;
    if (from.alias !== name) {
      found.push(warning("StageNameCasing", `Stage name '${from.alias}' should be lowercase`, from.range));
    }
    if (name === "scratch" || name === "context") {
      const message = `Stage name should not use the same name as reserved stage "${name}"`;
      found.push(warning("ReservedStageName", message, from.range));
    }
    if (seen.has(name)) {
      const message = `Duplicate stage name "${name}", stage names should be unique`;
      found.push(warning("DuplicateStageName", message, from.range));
    }
    seen.add(name);
  }
  return found;
}

/** The place is that of the earlier one, because it is the one without effect. */
function usedOnce(instructions: readonly StageInstruction[]): Warning[] {
  const found: Warning[] = [];
  const last = new Map<string, StageInstruction>();
  for (const instruction of instructions) {
    if (!["cmd", "entrypoint", "healthcheck"].includes(instruction.kind)) continue;
    const earlier = last.get(instruction.kind);
    last.set(instruction.kind, instruction);
    if (earlier === undefined) continue;
    const message = `Multiple ${instruction.kind.toUpperCase()} instructions should not be used in the same stage because only the last one will be used`;
    found.push(warning("MultipleInstructionsDisallowed", message, earlier.range));
  }
  return found;
}

/** Who chose a shell with SHELL, in this stage or in one below it, wants one. */
function shellForms(stage: Stage, inherited: boolean): Warning[] {
  let chosen = inherited;
  const found: Warning[] = [];
  for (const instruction of stage.instructions) {
    if (instruction.kind === "shell") chosen = true;
    if (chosen || (instruction.kind !== "cmd" && instruction.kind !== "entrypoint")) continue;
    if (instruction.command.form !== "shell") continue;
    const message = `JSON arguments recommended for ${instruction.kind.toUpperCase()} to prevent unintended behavior related to OS signals`;
    found.push(warning("JSONArgsRecommended", message, instruction.range));
  }
  return found;
}

function workdirs(stage: Stage, inherited: boolean): Warning[] {
  let absolute = inherited;
  const found: Warning[] = [];
  for (const instruction of stage.instructions) {
    if (instruction.kind !== "workdir") continue;
    if (settlesWorkdir(instruction)) absolute = true;
    if (absolute) continue;
    const message = `Relative workdir "${instruction.path}" can have unexpected results if the base image changes`;
    found.push(warning("WorkdirRelativePath", message, instruction.range));
  }
  return found;
}

/** An absolute path; what begins with a variable may be one, and only the builder knows. */
function settlesWorkdir(instruction: StageInstruction): boolean {
  return instruction.kind === "workdir" && /^(?:['"]?\/|\$)/.test(instruction.path);
}

function platformFlag(stage: Stage): Warning[] {
  const { platform, range } = stage.from;
  if (platform === undefined) return [];
  if (/^\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})$/.test(platform)) {
    const message = `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`;
    return [warning("RedundantTargetPlatform", message, range)];
  }
  if (platform.includes("$") || namesPlatform(stage.name ?? "", platform)) return [];
  return [
    warning(
      "FromPlatformFlagConstDisallowed",
      `FROM --platform flag should not use constant value "${platform}"`,
      range,
    ),
  ];
}

function namesPlatform(name: string, platform: string): boolean {
  try {
    const { os, architecture } = parsePlatform(platform);
    return name.includes(os) || name.includes(architecture);
  } catch (error) {
    if (isError(error, "invalid")) return false;
    throw error;
  }
}

function fromArguments(file: CheckedFile): Warning[] {
  const defaults = defaultArguments(file);
  const declared = [...file.globalArgs.flatMap(({ args }) => args.map((arg) => arg.name)), ...AUTOMATIC_PLATFORM_ARGS];
  const found: Warning[] = [];
  for (const stage of file.stages) {
    const { image, platform, range } = stage.from;
    for (const word of [image, platform]) {
      for (const name of undeclared(word ?? "", defaults, declared, file.escape)) {
        const near = nearest(name, declared);
        const suggestion = near === undefined ? "" : ` (did you mean ${near}?)`;
        found.push(warning("UndefinedArgInFrom", `FROM argument '${name}' is not declared${suggestion}`, range));
      }
    }
    if (image.includes("$") && !isValidBase(image, defaults, file, stage)) {
      const message = `Default value for ARG ${image} results in empty or invalid base image name`;
      found.push(warning("InvalidDefaultArgInFrom", message, range));
    }
  }
  return found;
}

function undeclared(
  word: string,
  defaults: Map<string, string>,
  declared: string[],
  escapeChar: EscapeCharacter,
): string[] {
  try {
    return [...expand(word, defaults, escapeChar).used].filter((name) => !declared.includes(name));
  } catch (error) {
    // `${name:?message}` fails without a value, which is what it is for.
    if (isError(error, "invalid")) return [];
    throw error;
  }
}

function isValidBase(image: string, defaults: Map<string, string>, file: CheckedFile, stage: Stage): boolean {
  try {
    const name = expand(image, defaults, file.escape).value;
    if (name !== "" && baseStage(file.stages, stage, name) !== undefined) return true;
    parseReference(name);
    return true;
  } catch (error) {
    if (isError(error, "invalid")) return false;
    throw error;
  }
}

/** The global ARGs as they are without `--build-arg`; platform arguments have some value. */
function defaultArguments(file: CheckedFile): Map<string, string> {
  const values = new Map<string, string>(AUTOMATIC_PLATFORM_ARGS.map((name) => [name, platformExample(name)]));
  for (const { args } of file.globalArgs) {
    for (const { name, value } of args) {
      if (value === undefined) continue;
      try {
        values.set(name, expand(value, values, file.escape).value);
      } catch (error) {
        if (!isError(error, "invalid")) throw error;
      }
    }
  }
  return values;
}

function platformExample(name: string): string {
  if (name.endsWith("PLATFORM")) return "linux/amd64";
  if (name.endsWith("OS")) return "linux";
  return name.endsWith("ARCH") ? "amd64" : "";
}
