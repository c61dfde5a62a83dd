import type { StageInstruction } from "@slipway/dockerfile";

/** Instructions that are counted in a stage's steps. */
export const STEPS: ReadonlySet<StageInstruction["kind"]> = new Set(["run", "copy", "add", "workdir"]);

/** The instruction that an `OnBuild` entry holds. */
export function triggerKind(trigger: string): StageInstruction["kind"] {
  return trigger.trim().split(/\s/)[0]?.toLowerCase() as StageInstruction["kind"];
}

/** `[build 3/7]`, or `[3/7]` in a file of one stage without a name. */
export function stepName(label: string, step: number, steps: number): string {
  return label === "" ? `[${step}/${steps}]` : `[${label} ${step}/${steps}]`;
}
