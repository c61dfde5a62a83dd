import type { Io, Output } from "../io.ts";

/** Whether the cursor can be moved there: on a terminal that is not dumb. */
export function redraws(output: Output, env: Io["env"]): boolean {
  return output.isTerminal() && env.TERM !== "dumb";
}

const CODES = { red: 31, green: 32, yellow: 33 } as const;

/** Coloured on a terminal that wants it: neither `NO_COLOR` is set nor is the terminal dumb (no-color.org). */
export function paint(output: Output, env: Io["env"], colour: keyof typeof CODES, text: string): string {
  const plain = env.NO_COLOR || env.TERM === "dumb" || !output.isTerminal();
  return plain ? text : `\x1b[${CODES[colour]}m${text}\x1b[0m`;
}
