/** Repetitions that a pattern may have: the time to match grows with the text's length to this power. */
const MOST_REPETITIONS = 3;
const LONGEST = 256;

/**
 * A pattern from outside as a regular expression. Undefined for what is none, and for one that could backtrack without end
 * and hold up everybody: repeated groups, references, many repetitions. Texts should be short all the same.
 */
export function harmlessPattern(pattern: string): RegExp | undefined {
  const repetitions = pattern.match(/[*+?{]/g)?.length ?? 0;
  if (pattern.length > LONGEST || repetitions > MOST_REPETITIONS || /\)[*+?{]|\\\d/.test(pattern)) return undefined;
  try {
    return new RegExp(pattern);
  } catch {
    return undefined;
  }
}
