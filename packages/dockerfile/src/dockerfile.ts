import type { Directives } from "./directives.ts";
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
  /** What the parser alone can tell, without the rules that the file's `check` directive skips. */
  readonly warnings: readonly Warning[];
}
