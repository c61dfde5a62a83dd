import { SlipwayError } from "@slipway/base";

/** One line of an ignore file, cleaned. */
export interface IgnorePattern {
  /** Without `!`, leading and trailing slashes; cleaned as Go's `filepath.Clean` does. */
  readonly pattern: string;
  readonly negated: boolean;
  readonly file: string;
  readonly line: number;
}

/** The patterns of an ignore file in order; comments and blank lines are left out. Throws `invalid` with `details.source`. */
export function parseIgnoreFile(_text: string | Uint8Array, _file = ".dockerignore"): readonly IgnorePattern[] {
  throw new SlipwayError("not-implemented", "parseIgnoreFile");
}

/** Where the ignore file of a Dockerfile may be, relative to the context; the first that exists counts. */
export function ignoreFileCandidates(dockerfilePath: string): readonly [string, string] {
  return [`${dockerfilePath}.dockerignore`, ".dockerignore"];
}

export class IgnoreMatcher {
  constructor(readonly patterns: readonly IgnorePattern[]) {}

  /** Whether anything can be ignored at all. */
  get empty(): boolean {
    return this.patterns.length === 0;
  }

  /** Whether a path (relative, with `/`) is left out of the context: by itself or by a directory above it. */
  ignores(path: string): boolean {
    return this.explain(path) !== undefined;
  }

  /** The pattern that hides the path, or undefined when it is not hidden. */
  explain(_path: string): IgnorePattern | undefined {
    throw new SlipwayError("not-implemented", "IgnoreMatcher");
  }

  /** Whether a directory is ignored with all that could ever be below it, so that a walk need not enter it. */
  canPrune(_directory: string): boolean {
    throw new SlipwayError("not-implemented", "IgnoreMatcher");
  }
}
