import type { Directives, RuleSet } from "./directives.ts";
import type { ArgInstruction, FromInstruction, StageInstruction } from "./instructions.ts";
import type { Warning } from "./rules.ts";
import type { SourceText } from "./source.ts";

/** One FROM with what follows it. */
export interface Stage {
  readonly index: number;
  /** Lower case; references to it ignore case. */
  readonly name?: string;
  readonly from: FromInstruction;
  readonly instructions: readonly StageInstruction[];
  /** From the comment `# <name> text` directly above. */
  readonly description?: string;
}

export interface Dockerfile {
  readonly source: SourceText;
  readonly directives: Directives;
  /** The ARGs before the first FROM, in order. */
  readonly globalArgs: readonly ArgInstruction[];
  /** At least one. */
  readonly stages: readonly Stage[];
  /** Rules that a `# check=skip=` comment directly above an instruction skips, by the instruction's first line. */
  readonly skips: ReadonlyMap<number, RuleSet>;
  /** What the parser alone can tell, without the rules that the file's directives skip. */
  readonly warnings: readonly Warning[];
}

/** The ARGs that have a value before the first FROM without being declared. */
export const AUTOMATIC_PLATFORM_ARGS = [
  "TARGETPLATFORM",
  "TARGETOS",
  "TARGETOSVERSION",
  "TARGETARCH",
  "TARGETVARIANT",
  "BUILDPLATFORM",
  "BUILDOS",
  "BUILDOSVERSION",
  "BUILDARCH",
  "BUILDVARIANT",
  "TARGETSTAGE",
] as const;

/** The stage that `--from` or `--target` means: by name, where the last of that name wins, or by number. */
export function findStage(stages: readonly Stage[], reference: string): Stage | undefined {
  const name = reference.toLowerCase();
  const named = stages.findLast((stage) => stage.name === name);
  if (named !== undefined) return named;
  return /^\d{1,9}$/.test(reference) ? stages[Number(reference)] : undefined;
}

/** The stage that a FROM builds on: one before it, by name; otherwise the word is an image. */
export function baseStage(stages: readonly Stage[], stage: Stage, image: string): Stage | undefined {
  const name = image.toLowerCase();
  return stages.slice(0, stage.index).findLast((earlier) => earlier.name === name);
}
