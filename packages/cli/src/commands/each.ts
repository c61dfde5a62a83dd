import { ApiError, failureLines } from "../errors.ts";
import type { Session } from "../session.ts";

/** Requests under way at once. */
const PARALLEL = 50;

/**
 * Does the same to each name and prints the names that worked, in their order. A failure does not stop the others; the
 * exit code is 1 if there was any.
 */
export async function forEachName(
  session: Session,
  names: readonly string[],
  action: (name: string) => Promise<string | undefined>,
): Promise<number> {
  const { stdout, stderr } = session.io;
  const failures: string[] = [];
  for (let start = 0; start < names.length; start += PARALLEL) {
    const results = await Promise.allSettled(names.slice(start, start + PARALLEL).map((name) => action(name)));
    for (const result of results) {
      if (result.status === "fulfilled") {
        if (result.value !== undefined) stdout.write(`${result.value}\n`);
      } else if (result.reason instanceof ApiError) {
        failures.push(...failureLines(result.reason));
      } else {
        throw result.reason;
      }
    }
  }
  if (failures.length === 0) return 0;
  await stdout.flush();
  stderr.write(`${failures.join("\n")}\n`);
  return 1;
}

/** A name as one segment of a path. */
export function segment(name: string): string {
  return encodeURIComponent(name);
}
