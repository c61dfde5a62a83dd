import { SlipwayError } from "@slipway/base";

/**
 * Path patterns as Go's `filepath.Match` reads them (`*` and `?` without `/`, classes, `\` escapes), as a regular
 * expression's source. With `doubleStar`, `**` goes through directories as in ignore files.
 */
export interface GlobOptions {
  readonly doubleStar: boolean;
}

/** A test for paths that match as a whole. Throws `invalid`. */
export function globPattern(pattern: string, options: GlobOptions = { doubleStar: false }): RegExp {
  const source = new GlobReader(pattern, options).read();
  try {
    return new RegExp(`^${source}$`, "u");
  } catch (cause) {
    throw badPattern(pattern, "it cannot be compiled", cause);
  }
}

/** Whether a path has anything but literal characters. */
export function hasGlob(path: string): boolean {
  return /[*?[\\]/.test(path);
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

  read(): string {
    let out = "";
    for (let char = this.#next(); char !== undefined; char = this.#next()) {
      if (char === "*") out += this.#star();
      else if (char === "?") out += "[^/]";
      else if (char === "[") out += this.#class();
      else if (char === "\\") out += literal(this.#escaped());
      else out += literal(char);
    }
    return out;
  }

  #next(): string | undefined {
    return this.#characters[this.#at++];
  }

  #star(): string {
    if (!this.#doubleStar || this.#characters[this.#at] !== "*") return "[^/]*";
    this.#at++;
    // `**/` is any number of directories, also none; `**` elsewhere anything at all.
    const slash = this.#characters[this.#at] === "/";
    if (slash) this.#at++;
    if (this.#at >= this.#characters.length) return "[^\\n]*";
    return slash ? "(?:[^\\n]*/)?" : "[^\\n]*";
  }

  #escaped(): string {
    const char = this.#next();
    if (char === undefined) throw badPattern(this.#pattern, "a \\ ends it");
    return char;
  }

  #class(): string {
    let out = "[";
    if (this.#characters[this.#at] === "^") {
      this.#at++;
      out += "^";
    }
    for (let first = true; ; first = false) {
      if (!first && this.#characters[this.#at] === "]") {
        this.#at++;
        return `${out}]`;
      }
      const low = this.#member();
      if (this.#characters[this.#at] !== "-") {
        out += codePoint(low);
        continue;
      }
      this.#at++;
      const high = this.#member();
      if (low > high) throw badPattern(this.#pattern, `the range ${low}-${high} is backwards`);
      out += `${codePoint(low)}-${codePoint(high)}`;
    }
  }

  #member(): string {
    const char = this.#next();
    if (char === undefined) throw badPattern(this.#pattern, "a [ is not closed");
    if (char === "-" || char === "]") throw badPattern(this.#pattern, `'${char}' in a class needs a \\ before it`);
    return char === "\\" ? this.#escaped() : char;
  }
}

/** Safe inside and outside of classes. */
function codePoint(char: string): string {
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}

function literal(char: string): string {
  return /[\w/ -]/.test(char) && char !== "-" ? char : codePoint(char);
}

function badPattern(pattern: string, problem: string, cause?: unknown): SlipwayError {
  return new SlipwayError("invalid", `syntax error in pattern '${pattern}': ${problem}`, {
    hint: "Put a \\ before *, ?, [ and - that are meant as they are.",
    ...(cause === undefined ? {} : { cause }),
  });
}
