import type { Progress } from "./progress.ts";
import { oneReason } from "./reasons.ts";
import type { MissReason, VertexLine } from "./wire.ts";

export interface Explanation extends Progress {
  /** Why each step of the Dockerfile ran, or did not: what `build --explain` prints after the build. */
  text(): string;
}

/** Keeps what the engine says of each step on its way to `progress`. */
export function explanation(progress: Progress): Explanation {
  const steps = new Map<string, VertexLine>();
  return {
    line(line) {
      if (line.type === "vertex" && line.state !== "waiting" && isTold(line.name)) {
        // The reasons come with the start of a step, its end says only how it ended.
        const reasons = line.reasons ?? steps.get(line.id)?.reasons;
        steps.set(line.id, { ...line, ...(reasons && { reasons }) });
      }
      progress.line(line);
    },
    end: () => progress.end(),
    text: () => `\nWhy each step ran, or did not:\n${[...steps.values()].map(stepText).join("")}`,
  };
}

function isTold(name: string): boolean {
  return name.startsWith("[") && !name.startsWith("[internal]");
}

function stepText({ name, state, reasons = [] }: VertexLine): string {
  const head = `  ${name}\n`;
  if (state === "cached") return `${head}      cached: nothing that it reads has changed\n`;
  if (state === "cancelled") return `${head}      not finished: the build ended before\n`;
  const told = reasons.filter(({ kind }) => kind !== "first-time");
  if (told.length === 0) return `${head}      ran: there is no earlier run of it to compare with\n`;
  return `${head}${told.map((reason) => `      ran: ${oneReason(reason)}${values(reason)}\n`).join("")}`;
}

/** Both sides of what changed, where the words do not have them already. */
function values({ kind, before, after }: MissReason): string {
  if (before === undefined || after === undefined || kind === "argument" || kind === "environment") return "";
  return ` (${before} -> ${after})`;
}
