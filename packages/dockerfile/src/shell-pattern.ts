import { SlipwayError } from "@slipway/base";

/** The globs of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?`, and `\` before `*`, `?`, `\`, `/` and `}`. */
type Token = string | typeof ANY | typeof ONE;

const ANY = Symbol("*");
const ONE = Symbol("?");

/** Longer values are refused where a pattern has to be tried at every place of them. */
const MAX_LENGTH = 32_768;

/** The value without the shortest (or, greedy, longest) prefix that matches. */
export function cutPrefix(value: string, pattern: string, greedy: boolean): string {
  const characters = split(value);
  return characters.slice(matchLength(characters, 0, tokenize(pattern), greedy) ?? 0).join("");
}

export function cutSuffix(value: string, pattern: string, greedy: boolean): string {
  const characters = split(value).reverse();
  const length = matchLength(characters, 0, tokenize(pattern).reverse(), greedy) ?? 0;
  return characters.slice(length).reverse().join("");
}

/** Every match is the longest one at its place. An empty pattern matches once, at the start. */
export function replacePattern(value: string, pattern: string, replacement: string, all: boolean): string {
  const tokens = tokenize(pattern);
  if (tokens.length === 0) return pattern === "" && !all ? replacement + value : value;
  const characters = split(value);
  let out = "";
  let position = 0;
  while (position < characters.length) {
    const length = matchLength(characters, position, tokens, true);
    if (length === undefined || length === 0) {
      out += characters[position++] ?? "";
      continue;
    }
    out += replacement;
    position += length;
    if (!all) break;
  }
  return out + characters.slice(position).join("");
}

function split(value: string): string[] {
  if (value.length <= MAX_LENGTH) return [...value];
  throw new SlipwayError("invalid", `a value of ${value.length} characters is too long for a pattern`, {
    hint: `Patterns work on values of at most ${MAX_LENGTH} characters; cut it in a RUN step.`,
  });
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...pattern];
  for (let index = 0; index < characters.length; index++) {
    const char = characters[index] ?? "";
    if (char === "*") {
      if (tokens.at(-1) !== ANY) tokens.push(ANY);
    } else if (char === "?") tokens.push(ONE);
    else if (char === "\\") tokens.push(escaped(characters[++index], pattern));
    else tokens.push(char);
  }
  return tokens;
}

function escaped(char: string | undefined, pattern: string): string {
  if (char !== undefined && "*?\\/}".includes(char)) return char;
  throw new SlipwayError("invalid", `invalid escape '\\${char ?? ""}' in the pattern '${pattern}'`, {
    hint: "Only * ? \\ / and } can be escaped in a pattern.",
  });
}

/**
 * How many characters from `start` match: the fewest or the most. From the first `*` on it keeps the set of places
 * that can be reached, so that `*a*a*a*b` costs pattern times value and not more.
 */
function matchLength(
  value: readonly string[],
  start: number,
  tokens: readonly Token[],
  greedy: boolean,
): number | undefined {
  const star = tokens.indexOf(ANY);
  const plain = star < 0 ? tokens.length : star;
  for (let index = 0; index < plain; index++) {
    const token = tokens[index];
    const char = value[start + index];
    if (char === undefined || (token !== ONE && token !== char)) return undefined;
  }
  if (star < 0) return plain;
  const from = start + plain;
  const size = value.length - from + 1;
  let reachable = new Uint8Array(size);
  reachable[0] = 1;
  for (const token of tokens.slice(star)) {
    const next = new Uint8Array(size);
    let seen = 0;
    for (let index = 0; index < size; index++) {
      if (token === ANY) next[index] = seen |= reachable[index] ?? 0;
      else if (reachable[index] === 1 && index + 1 < size && (token === ONE || token === value[from + index])) {
        next[index + 1] = 1;
      }
    }
    reachable = next;
  }
  const length = greedy ? reachable.lastIndexOf(1) : reachable.indexOf(1);
  return length < 0 ? undefined : plain + length;
}
