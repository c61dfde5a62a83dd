import { nearest } from "@slipway/base";
import type { Flag, Flags, FlagValues, KindValues } from "./flag.ts";
import { addValue, defaultOf } from "./values.ts";

/** A mistake in the flags. `suggestion` is the nearest flag that exists. */
export class FlagError extends Error {
  override readonly name = "FlagError";
  readonly suggestion: string | undefined;

  constructor(message: string, suggestion?: string) {
    super(message);
    this.suggestion = suggestion;
  }
}

export interface ParsedFlags<F extends Flags> {
  readonly values: FlagValues<F>;
  /** The flags that were given, also when with their default. */
  readonly given: ReadonlySet<string>;
  readonly positionals: readonly string[];
  readonly help: boolean;
}

export interface ParseOptions {
  /** Whether flags may stand after the first positional; not so in `run` and `exec`, whose rest is the container's command. */
  readonly interspersed: boolean;
}

/**
 * Reads flags as Docker's library (pflag) does: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-f=value`, `-abc`,
 * `--bool`, `--bool=false`, and `--` which ends them. Throws `FlagError`.
 */
export function parseFlags<F extends Flags>(flags: F, argv: readonly string[], options: ParseOptions): ParsedFlags<F> {
  const reader = new FlagReader(flags, argv);
  reader.read(options.interspersed);
  return {
    values: reader.values() as FlagValues<F>,
    given: new Set(reader.given.keys()),
    positionals: reader.positionals,
    help: reader.help,
  };
}

class FlagReader {
  readonly given = new Map<string, KindValues[keyof KindValues]>();
  readonly positionals: string[] = [];
  help = false;
  readonly #flags: Flags;
  readonly #argv: readonly string[];
  #next = 0;

  constructor(flags: Flags, argv: readonly string[]) {
    this.#flags = flags;
    this.#argv = argv;
  }

  values(): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const name in this.#flags) {
      const flag = this.#flags[name];
      if (flag !== undefined) values[name] = this.given.has(name) ? this.given.get(name) : defaultOf(flag);
    }
    return values;
  }

  read(interspersed: boolean): void {
    while (this.#next < this.#argv.length) {
      const word = this.#argv[this.#next] ?? "";
      if (word === "--") {
        this.positionals.push(...this.#argv.slice(this.#next + 1));
        return;
      }
      if (word.length < 2 || !word.startsWith("-")) {
        if (!interspersed) {
          this.positionals.push(...this.#argv.slice(this.#next));
          return;
        }
        this.positionals.push(word);
        this.#next++;
        continue;
      }
      this.#next++;
      if (word.startsWith("--")) this.#long(word);
      else this.#short(word);
      if (this.help) return;
    }
  }

  #long(word: string): void {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const flag = Object.hasOwn(this.#flags, name) ? this.#flags[name] : undefined;
    if (flag === undefined) {
      if (name === "help") {
        this.help = true;
        return;
      }
      if (name === "" || name.startsWith("-")) throw new FlagError(`bad flag syntax: ${word}`);
      throw new FlagError(`unknown flag: --${name}`, this.#nearestFlag(name));
    }
    if (equals >= 0) this.#add(name, flag, word.slice(equals + 1));
    else if (bareValue(flag) !== undefined) this.#add(name, flag, bareValue(flag) ?? "");
    else this.#add(name, flag, this.#takeValue(`--${name}`));
  }

  #short(word: string): void {
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at);
      const found = Object.entries(this.#flags).find(([, flag]) => flag.short === letter);
      if (found === undefined) {
        if (letter === "h") {
          this.help = true;
          return;
        }
        const whole = this.#flags[word.slice(1)] === undefined ? undefined : `-${word}`;
        throw new FlagError(`unknown shorthand flag: '${letter}' in ${word}`, whole);
      }
      const [name, flag] = found;
      const rest = word.slice(at + 1);
      const bare = bareValue(flag);
      if (bare !== undefined && !rest.startsWith("=")) {
        this.#add(name, flag, bare);
        continue;
      }
      const value = rest.startsWith("=") ? rest.slice(1) : rest;
      this.#add(name, flag, rest === "" ? this.#takeValue(`'${letter}' in ${word}`) : value);
      return;
    }
  }

  #takeValue(shown: string): string {
    const value = this.#argv[this.#next];
    if (value === undefined) throw new FlagError(`flag needs an argument: ${shown}`);
    this.#next++;
    return value;
  }

  #add(name: string, flag: Flag, text: string): void {
    try {
      this.given.set(name, addValue(flag, text, this.given.get(name) as never));
    } catch (error) {
      const shown = flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`;
      const reason = error instanceof Error ? error.message : String(error);
      throw new FlagError(`invalid argument ${JSON.stringify(text)} for ${JSON.stringify(shown)} flag: ${reason}`);
    }
  }

  #nearestFlag(name: string): string | undefined {
    const visible = Object.entries(this.#flags).filter(([, flag]) => flag.hidden !== true);
    const found = nearest(name, [...visible.map(([known]) => known), "help"]);
    return found === undefined ? undefined : `--${found}`;
  }
}

function bareValue(flag: Flag): string | undefined {
  return flag.bare ?? (flag.kind === "bool" ? "true" : undefined);
}
