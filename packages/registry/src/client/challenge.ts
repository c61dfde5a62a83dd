/** One challenge of a `WWW-Authenticate` header (RFC 9110, 11.6.1). */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const LONGEST = 8192;

/** All challenges of a header; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, LONGEST);
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const skip = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at += match[0].length;
    return match?.[0];
  };
  for (;;) {
    skip(/[\s,]*/y);
    const word = skip(TOKEN);
    if (word === undefined) return challenges;
    skip(/[ \t]*/y);
    const current = challenges.at(-1);
    if (text[at] === "=" && current !== undefined) {
      at++;
      skip(/[ \t]*/y);
      const value = text[at] === '"' ? quoted(skip(/"(?:[^"\\]|\\.)*"/sy)) : skip(TOKEN);
      if (value === undefined) return challenges;
      current.parameters[word.toLowerCase()] = value;
    } else challenges.push({ scheme: word.toLowerCase(), parameters: {} });
  }
}

function quoted(text: string | undefined): string | undefined {
  return text?.slice(1, -1).replace(/\\(.)/gs, "$1");
}
