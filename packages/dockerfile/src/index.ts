/** Dockerfiles and ignore files: text to typed instructions with their places. It reads no files and runs nothing. */
export type { CheckDirective, Directives } from "./directives.ts";
export type { Dockerfile, Stage } from "./dockerfile.ts";
export {
  type EscapeCharacter,
  type Expansion,
  expand,
  expandHeredoc,
  expandWords,
  type Variables,
  type WordsExpansion,
} from "./expand.ts";
export { IgnoreMatcher, type IgnorePattern, ignoreFileCandidates, parseIgnoreFile } from "./ignore.ts";
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
export { RULE_NAMES, type RuleName, type Warning } from "./rules.ts";
export {
  type ExcerptOptions,
  renderExcerpt,
  type SourceRange,
  type SourceText,
  sourceError,
  sourceText,
} from "./source.ts";
