import { cleanPath } from "./clean-path.ts";
import { globPattern, hasGlob } from "./glob.ts";
import type { IgnorePattern } from "./ignore-file.ts";

interface CompiledPattern {
  readonly source: IgnorePattern;
  matches(path: string): boolean;
  /** Whether anything below `directory` could match; may say yes too often. */
  reaches(directory: string): boolean;
}

/** Directories whose results are remembered; a walk needs one chain of them, random questions more. */
const REMEMBERED = 4096;

/**
 * The rules of an ignore file, with Docker's meaning: the last pattern that matches a path, or one of the directories
 * above it, decides. Paths are relative to the context and parted by `/`.
 */
export class IgnoreMatcher {
  readonly patterns: readonly IgnorePattern[];
  readonly #compiled: readonly CompiledPattern[];
  /** For each directory seen, which patterns match it or a directory above it. */
  readonly #directories = new Map<string, Uint8Array>();

  constructor(patterns: readonly IgnorePattern[]) {
    this.patterns = patterns;
    this.#compiled = patterns.map(compile);
  }

  /** Whether nothing can be ignored at all. */
  get empty(): boolean {
    return this.patterns.length === 0;
  }

  /** Whether a path is left out of the context: by itself or by a directory above it. */
  ignores(path: string): boolean {
    return this.#decides(normalized(path)) >= 0;
  }

  /** The pattern that hides the path, or undefined when it is not hidden. */
  explain(path: string): IgnorePattern | undefined {
    return this.patterns[this.#decides(normalized(path))];
  }

  /**
   * Whether a directory is ignored with all that could ever be below it, so that a walk need not enter it. When it is
   * ignored but cannot be pruned, it is part of the context as soon as something below it is.
   */
  canPrune(directory: string): boolean {
    const path = normalized(directory);
    const deciding = this.#decides(path);
    if (deciding < 0) return false;
    // What the deciding pattern hides, only a later negated one can show again.
    return !this.#compiled.some(({ source, reaches }, index) => index > deciding && source.negated && reaches(path));
  }

  /** The index of the pattern that hides the path, or -1. */
  #decides(path: string): number {
    if (path === "" || path === ".") return -1;
    const above = this.#above(path);
    for (let index = this.#compiled.length - 1; index >= 0; index--) {
      const pattern = this.#compiled[index];
      if (pattern === undefined) continue;
      if (above?.[index] === 1 || pattern.matches(path)) return pattern.source.negated ? -1 : index;
    }
    return -1;
  }

  #above(path: string): Uint8Array | undefined {
    const slash = path.lastIndexOf("/");
    return slash <= 0 ? undefined : this.#directory(path.slice(0, slash));
  }

  #directory(path: string): Uint8Array {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const above = this.#above(path);
    const results = new Uint8Array(this.#compiled.length);
    for (const [index, pattern] of this.#compiled.entries()) {
      results[index] = above?.[index] === 1 || pattern.matches(path) ? 1 : 0;
    }
    if (this.#directories.size >= REMEMBERED) this.#directories.clear();
    this.#directories.set(path, results);
    return results;
  }
}

function normalized(path: string): string {
  if (!path.startsWith("/") && !path.endsWith("/") && !path.startsWith("./")) return path;
  return cleanPath(path.startsWith("/") ? path.slice(1) : path);
}

/** The common shapes are string comparisons; the rest is a regular expression. */
function compile(source: IgnorePattern): CompiledPattern {
  const { pattern } = source;
  const reaches = reachTest(pattern);
  if (!hasGlob(pattern)) return { source, reaches, matches: (path) => path === pattern };
  if (pattern === "**") return { source, reaches, matches: () => true };
  const anywhere = pattern.startsWith("**/") ? pattern.slice(3) : undefined;
  if (anywhere !== undefined && anywhere !== "" && !hasGlob(anywhere)) {
    const suffix = `/${anywhere}`;
    return { source, reaches, matches: (path) => path === anywhere || path.endsWith(suffix) };
  }
  if (pattern.startsWith("**") && anywhere === undefined && !hasGlob(pattern.slice(2))) {
    const suffix = pattern.slice(2);
    return { source, reaches, matches: (path) => path.endsWith(suffix) };
  }
  if (pattern.endsWith("/**") && !hasGlob(pattern.slice(0, -3))) {
    const prefix = pattern.slice(0, -2);
    return { source, reaches, matches: (path) => path.startsWith(prefix) };
  }
  const expression = globPattern(pattern, { doubleStar: true });
  return { source, reaches, matches: (path) => expression.test(path) };
}

/**
 * A pattern of n parts matches at depth n only, and reaches below a directory when its first parts match that
 * directory's. `**` reaches everywhere below the parts before it. A class may contain a `/`: it reaches everywhere.
 */
function reachTest(pattern: string): (directory: string) => boolean {
  if (pattern.includes("[") || pattern.includes("\\")) return () => true;
  const parts = pattern.split("/").map((part) => (part.includes("**") ? undefined : partTest(part)));
  return (directory) => {
    const names = directory.split("/");
    for (const [index, name] of names.entries()) {
      if (index >= parts.length) return false;
      const test = parts[index];
      if (test === undefined) return true;
      if (!test(name)) return false;
    }
    return parts.length > names.length;
  };
}

function partTest(part: string): (name: string) => boolean {
  if (!hasGlob(part)) return (name) => name === part;
  const expression = globPattern(part);
  return (name) => expression.test(name);
}
