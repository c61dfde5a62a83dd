import { SlipwayError } from "@slipway/base";

export interface GlobOptions {
  /** `**` goes through directories, as in ignore files. */
  readonly doubleStar: boolean;
}

/** A test for paths that match as a whole. */
export interface PathPattern {
  test(path: string): boolean;
}

/**
 * Path patterns as Go's `filepath.Match` reads them: `*` and `?` without `/`, classes `[a-z]` and `[^a-z]`, `\` escapes.
 * Throws `invalid`.
 */
export function globPattern(pattern: string, options: GlobOptions = { doubleStar: false }): PathPattern {
  const steps = new GlobReader(pattern, options).read();
  // A regular expression tries all ways in which its loops can share a path. With more than two that takes a hostile
  // ignore file's time, not ours: the simulation stays linear.
  if (steps.filter(({ repeat }) => repeat !== "once").length > 2) return { test: (path) => simulate(steps, path) };
  return new RegExp(`^${steps.map(expression).join("")}$`, "u");
}

/** Whether a path has anything but literal characters. */
export function hasGlob(path: string): boolean {
  return /[*?[\\]/.test(path);
}

/** One place of a pattern. `directories` is nothing, or anything that ends with a slash: the stars before a slash. */
interface Step {
  /** As a regular expression. */
  readonly set: string;
  readonly has: (char: string) => boolean;
  readonly repeat: "once" | "any" | "directories";
}

const NO_SLASH: Omit<Step, "repeat"> = { set: "[^/]", has: (char) => char !== "/" };
const NO_LINE_END: Omit<Step, "repeat"> = { set: "[^\\n]", has: (char) => char !== "\n" };

function expression({ set, repeat }: Step): string {
  if (repeat === "directories") return `(?:${set}*/)?`;
  return repeat === "any" ? `${set}*` : set;
}

/** The step may be left, or (in `directories`) only after a slash. */
const FREE = 1;
const WITHIN = 2;

/** All states at once, a character at a time; state i is in force when the steps before i are done. */
function simulate(steps: readonly Step[], path: string): boolean {
  let states = new Uint8Array(steps.length + 1);
  let next = new Uint8Array(steps.length + 1);
  enter(steps, states, 0);
  for (const char of path) {
    next.fill(0);
    let alive = false;
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index];
      if (states[index] === 0 || !step?.has(char)) continue;
      alive = true;
      if (step.repeat === "once") enter(steps, next, index + 1);
      else if (step.repeat === "any" || char === "/") enter(steps, next, index);
      else if (next[index] === 0) next[index] = WITHIN;
    }
    if (!alive) return false;
    [states, next] = [next, states];
  }
  return states[steps.length] === FREE;
}

/** Enters a state, and those after it past steps that may be nothing. */
function enter(steps: readonly Step[], states: Uint8Array, from: number): void {
  for (let index = from; states[index] !== FREE; index++) {
    states[index] = FREE;
    if ((steps[index]?.repeat ?? "once") === "once") break;
  }
}

class GlobReader {
  readonly #pattern: string;
  readonly #characters: readonly string[];
  readonly #doubleStar: boolean;
  #at = 0;

  constructor(pattern: string, options: GlobOptions) {
    this.#pattern = pattern;
    this.#characters = [...pattern];
    this.#doubleStar = options.doubleStar;
  }

  read(): Step[] {
    const steps: Step[] = [];
    for (let char = this.#next(); char !== undefined; char = this.#next()) {
      if (char === "*") steps.push(this.#star());
      else if (char === "?") steps.push({ ...NO_SLASH, repeat: "once" });
      else if (char === "[") steps.push(this.#class());
      else steps.push(literal(char === "\\" ? this.#escaped() : char));
    }
    return steps;
  }

  #next(): string | undefined {
    return this.#characters[this.#at++];
  }

  #star(): Step {
    if (!this.#doubleStar || this.#characters[this.#at] !== "*") return { ...NO_SLASH, repeat: "any" };
    this.#at++;
    // Two stars and a slash are any number of directories, also none; two stars elsewhere, and at the end, anything.
    const slash = this.#characters[this.#at] === "/";
    if (slash) this.#at++;
    const inside = slash && this.#at < this.#characters.length;
    return { ...NO_LINE_END, repeat: inside ? "directories" : "any" };
  }

  #escaped(): string {
    const char = this.#next();
    if (char === undefined) throw badPattern(this.#pattern, "a \\ ends it");
    return char;
  }

  #class(): Step {
    const negated = this.#characters[this.#at] === "^";
    if (negated) this.#at++;
    const ranges: [low: string, high: string][] = [];
    while (ranges.length === 0 || this.#characters[this.#at] !== "]") ranges.push(this.#range());
    this.#at++;
    const body = ranges.map(([low, high]) => (low === high ? codePoint(low) : `${codePoint(low)}-${codePoint(high)}`));
    return {
      set: `[${negated ? "^" : ""}${body.join("")}]`,
      has: (char) =>
        ranges.some(([low, high]) => pointOf(char) >= pointOf(low) && pointOf(char) <= pointOf(high)) !== negated,
      repeat: "once",
    };
  }

  #range(): [low: string, high: string] {
    const low = this.#member();
    if (this.#characters[this.#at] !== "-") return [low, low];
    this.#at++;
    const high = this.#member();
    if (pointOf(low) > pointOf(high)) throw badPattern(this.#pattern, `the range ${low}-${high} is backwards`);
    return [low, high];
  }

  #member(): string {
    const char = this.#next();
    if (char === undefined) throw badPattern(this.#pattern, "a [ is not closed");
    if (char === "-" || char === "]") throw badPattern(this.#pattern, `'${char}' in a class needs a \\ before it`);
    return char === "\\" ? this.#escaped() : char;
  }
}

function pointOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}

/** Safe inside and outside of classes. */
function codePoint(char: string): string {
  return `\\u{${pointOf(char).toString(16)}}`;
}

function literal(char: string): Step {
  return { set: /[\w/ ]/.test(char) ? char : codePoint(char), has: (other) => other === char, repeat: "once" };
}

function badPattern(pattern: string, problem: string): SlipwayError {
  return new SlipwayError("invalid", `syntax error in pattern '${pattern}': ${problem}`, {
    hint: "Put a \\ before *, ?, [ and - that are meant as they are.",
  });
}
