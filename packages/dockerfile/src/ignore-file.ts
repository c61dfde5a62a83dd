import { isError } from "@slipway/base";
import { cleanPath } from "./clean-path.ts";
import { globPattern } from "./glob.ts";
import { type SourceRange, type SourceText, sourceError, sourceText } from "./source.ts";

/** One line of an ignore file, cleaned, ready to match. */
export interface IgnorePattern {
  /** Without `!`, leading and trailing slashes; cleaned as Go's `filepath.Clean` does. */
  readonly pattern: string;
  readonly negated: boolean;
  readonly file: string;
  readonly line: number;
}

/** The patterns of an ignore file in order; comments and blank lines are left out. Throws `invalid` with `details.source`. */
export function parseIgnoreFile(text: string | Uint8Array, file = ".dockerignore"): readonly IgnorePattern[] {
  const decoded = typeof text === "string" ? text : new TextDecoder("utf-8", { ignoreBOM: true }).decode(text);
  const source = sourceText(file, decoded.startsWith("\ufeff") ? decoded.slice(1) : decoded);
  const patterns: IgnorePattern[] = [];
  for (const [index, raw] of source.lines.entries()) {
    // Only a # in the first column makes a comment.
    if (raw.startsWith("#")) continue;
    const pattern = readPattern(source, raw, { file, startLine: index + 1, endLine: index + 1 });
    if (pattern !== undefined) patterns.push(pattern);
  }
  return patterns;
}

/** Patterns from elsewhere, such as `COPY --exclude`; `range` is their place. Throws `invalid` with `details.source`. */
export function ignorePatterns(
  patterns: readonly string[],
  source: SourceText,
  range: SourceRange,
): readonly IgnorePattern[] {
  const found: IgnorePattern[] = [];
  for (const raw of patterns) {
    const pattern = readPattern(source, raw, range);
    if (pattern !== undefined) found.push(pattern);
  }
  return found;
}

/** Where the ignore file of a Dockerfile may be, relative to the context; the first that exists counts. */
export function ignoreFileCandidates(dockerfilePath: string): readonly [string, string] {
  return [`${dockerfilePath}.dockerignore`, ".dockerignore"];
}

function readPattern(source: SourceText, raw: string, range: SourceRange): IgnorePattern | undefined {
  const trimmed = raw.trim();
  if (trimmed === "") return undefined;
  const negated = trimmed.startsWith("!");
  const body = negated ? trimmed.slice(1).trim() : trimmed;
  if (body === "") {
    throw sourceError(source, range, {
      message: 'illegal exclusion pattern: "!"',
      hint: "Write a path after the !, or remove the line.",
    });
  }
  const cleaned = cleanPath(body);
  const pattern = cleaned.length > 1 && cleaned.startsWith("/") ? cleaned.slice(1) : cleaned;
  checkPattern(source, pattern, range);
  return { pattern, negated, file: range.file, line: range.startLine };
}

function checkPattern(source: SourceText, pattern: string, range: SourceRange): void {
  try {
    globPattern(pattern, { doubleStar: true });
  } catch (error) {
    if (!isError(error, "invalid")) throw error;
    throw sourceError(source, range, {
      message: error.message,
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}
