/** Paired timing: A B A B ..., so that a drift of the machine's speed hits both alike. Medians, never single runs. */

export interface Sample {
  /** Milliseconds, or whatever unit the scenario states. */
  readonly values: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export type Measurement = () => Promise<number>;

export function summarize(values: readonly number[]): Sample {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
  return { values, median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Runs all measurements in turn, `rounds` times after one warm-up round that does not count. */
export async function inTurn(measurements: readonly Measurement[], rounds: number): Promise<Sample[]> {
  const values: number[][] = measurements.map(() => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, measure] of measurements.entries()) {
      const value = await measure();
      if (round >= 0) values[index]?.push(value);
    }
  }
  return values.map(summarize);
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** A file that receives standard output; it is thrown away otherwise. */
  readonly stdout?: string;
}

/** Wall milliseconds of a whole process. Throws with what it printed when it fails. */
export async function timeCommand(command: Command): Promise<number> {
  const began = performance.now();
  await runCommand(command);
  return performance.now() - began;
}

export async function runCommand(command: Command): Promise<string> {
  const child = Bun.spawn([...command.argv], {
    env: { ...process.env, ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    stdin: command.stdin === undefined ? "ignore" : Bun.file(command.stdin),
    stdout: command.stdout === undefined ? "pipe" : Bun.file(command.stdout),
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    command.stdout === undefined ? new Response(child.stdout as ReadableStream).text() : "",
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0)
    throw new Error(`${command.argv.join(" ")} failed with ${code}:\n${stdout.slice(-2000)}${stderr.slice(-4000)}`);
  return stdout;
}
