import { SlipwayError } from "@slipway/base";
import type { RawWord } from "./instructions.ts";

/** Where words find their variables; a `Map` is one. */
export interface Variables {
  get(name: string): string | undefined;
}

export type EscapeCharacter = "\\" | "`";

export interface Expansion {
  readonly value: string;
  /** Every variable whose value was asked for, for cache keys. */
  readonly used: ReadonlySet<string>;
  /** Those of them that had none and no default, for the UndefinedVar check. */
  readonly undefined: ReadonlySet<string>;
}

/** The value of a word: variables replaced, quotes removed, escapes applied. Throws `invalid`. */
export function expand(_word: RawWord, _env: Variables, _escape: EscapeCharacter = "\\"): Expansion {
  throw new SlipwayError("not-implemented", "expand");
}

export interface WordsExpansion extends Omit<Expansion, "value"> {
  readonly words: readonly string[];
}

/** As `expand`, but blanks outside quotes, also those of unquoted values, part words (EXPOSE). */
export function expandWords(_word: RawWord, _env: Variables, _escape: EscapeCharacter = "\\"): WordsExpansion {
  throw new SlipwayError("not-implemented", "expandWords");
}

/** The content of a heredoc in COPY or ADD: variables replaced, quotes left alone. */
export function expandHeredoc(_content: string, _env: Variables): Expansion {
  throw new SlipwayError("not-implemented", "expandHeredoc");
}
