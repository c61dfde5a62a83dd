import { nearest, SlipwayError } from "@slipway/base";

/** What one instruction's flags may be. */
export type FlagKinds = Readonly<Record<string, "text" | "boolean" | "list">>;

export interface Flags {
  text(name: string): string | undefined;
  boolean(name: string): boolean | undefined;
  list(name: string): readonly string[];
}

/** Reads `--name=value` words. Throws `invalid` with `details.flag`, for the place. */
export function readFlags(words: readonly string[], kinds: FlagKinds, keyword: string): Flags {
  const values = new Map<string, string[]>();
  for (const word of words) {
    const [name, value] = readFlag(word, kinds, keyword);
    const earlier = values.get(name);
    if (earlier === undefined) values.set(name, [value]);
    else if (kinds[name] === "list") earlier.push(value);
    else throw flagError(`duplicate flag specified: ${name}`, word, "Give the flag once.");
  }
  return {
    text: (name) => values.get(name)?.[0],
    boolean: (name) => {
      const value = values.get(name)?.[0];
      return value === undefined ? undefined : value === "true";
    },
    list: (name) => values.get(name) ?? [],
  };
}

function readFlag(word: string, kinds: FlagKinds, keyword: string): [name: string, value: string] {
  const equals = word.indexOf("=");
  const name = word.slice(2, equals < 0 ? undefined : equals);
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  if (kind === undefined) throw unknownFlag(name, word, kinds, keyword);
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  if (kind === "boolean") {
    const lower = (value ?? "true").toLowerCase();
    if (lower === "true" || lower === "false") return [name, lower];
    throw flagError(`expecting boolean value for flag ${name}, not: ${value}`, word, "Write true or false.");
  }
  if (value === undefined) throw flagError(`missing a value on flag: ${name}`, word, `Write --${name}=value.`);
  return [name, value];
}

function unknownFlag(name: string, word: string, kinds: FlagKinds, keyword: string): SlipwayError {
  const known = Object.keys(kinds);
  const near = nearest(name, known);
  const hint =
    near !== undefined
      ? `Did you mean --${near}?`
      : known.length === 0
        ? `${keyword} takes no flags.`
        : `${keyword} takes ${known.map((flag) => `--${flag}`).join(", ")}.`;
  return flagError(`unknown flag: --${name}`, word, hint);
}

function flagError(message: string, word: string, hint: string): SlipwayError {
  return new SlipwayError("invalid", message, { hint, details: { needle: word } });
}
