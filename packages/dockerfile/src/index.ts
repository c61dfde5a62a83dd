/** Dockerfiles and ignore files: text to typed instructions with their places. It reads no files and runs nothing. */
export {
  checkBaseImagePlatform,
  checkExpose,
  checkUndefinedVar,
  copyIgnoredFile,
  warningApplies,
} from "./checks.ts";
export type { CheckDirective, Directives, RuleSet } from "./directives.ts";
export { AUTOMATIC_PLATFORM_ARGS, baseStage, type Dockerfile, findStage, type Stage } from "./dockerfile.ts";
export {
  type EscapeCharacter,
  type Expansion,
  expand,
  expandHeredoc,
  expandWords,
  type Variables,
  type WordsExpansion,
} from "./expand.ts";
export { type GlobOptions, globPattern, hasGlob, type PathPattern } from "./glob.ts";
export { IgnoreMatcher } from "./ignore.ts";
export { type IgnorePattern, ignoreFileCandidates, ignorePatterns, parseIgnoreFile } from "./ignore-file.ts";
export type {
  AddInstruction,
  ArgInstruction,
  CmdInstruction,
  CommandLine,
  CopyInstruction,
  CopySource,
  EntrypointInstruction,
  EnvInstruction,
  ExposeInstruction,
  FromInstruction,
  HealthcheckInstruction,
  Heredoc,
  Instruction,
  KeyValue,
  LabelInstruction,
  MaintainerInstruction,
  MountFlag,
  OnbuildInstruction,
  RawWord,
  RunInstruction,
  RunMount,
  RunProgram,
  ShellInstruction,
  StageInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  WorkdirInstruction,
} from "./instructions.ts";
export { resolveMount } from "./mount.ts";
export { type ParseOptions, parseDockerfile, parseTrigger } from "./parse.ts";
export { parsePortSpecs } from "./ports.ts";
export { RULE_NAMES, RULES, type Rule, type RuleName, type Warning, warning } from "./rules.ts";
export {
  type ExcerptOptions,
  renderExcerpt,
  type SourceRange,
  type SourceText,
  sourceError,
  sourceText,
} from "./source.ts";
