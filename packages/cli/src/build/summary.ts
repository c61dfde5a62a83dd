import { familiarName, truncateId } from "../output/text.ts";
import { type Progress, secondsText } from "./progress.ts";
import type { BuildLine, ResultLine } from "./wire.ts";

export interface Summary extends Progress {
  /** The last line of a build that worked. */
  text(result: ResultLine, milliseconds: number): string;
}

/** Counts the steps on their way to `progress`. */
export function summary(progress: Progress): Summary {
  const states = new Map<string, string>();
  return {
    line(line: BuildLine) {
      if (line.type === "vertex" && isStep(line.name)) states.set(line.id, line.state);
      progress.line(line);
    },
    end: () => progress.end(),
    text({ imageId, names }, milliseconds) {
      const count = (state: string) => [...states.values()].filter((value) => value === state).length;
      const [ran, cached] = [count("done"), count("cached")];
      const id = imageId === undefined ? "" : ` ${truncateId(imageId)}`;
      const named = names === undefined || names.length === 0 ? "" : ` as ${names.map(familiarName).join(", ")}`;
      return `\nBuilt${id}${named} in ${secondsText(milliseconds)}: ${ran} ${ran === 1 ? "step" : "steps"} ran, ${cached} cached\n`;
    },
  };
}

/** Steps of the Dockerfile have their stage and number in brackets; the rest is our own work. */
function isStep(name: string): boolean {
  return name.startsWith("[") && !name.startsWith("[internal]");
}
