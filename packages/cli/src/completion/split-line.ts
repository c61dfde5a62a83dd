/**
 * The words of a command line that is being typed, as a shell would see them: quotation marks and backslashes are read,
 * what is still open goes to the end. The last word is the one at the cursor, empty after a space.
 */
export function splitLine(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const [token] of line.matchAll(/\s+|'[^']*'?|"(?:[^"\\]|\\.)*"?|\\.?|[^\s'"\\]+/gs)) {
    if (/^\s/.test(token)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + plain(token);
  }
  return [...words, word ?? ""];
}

function plain(token: string): string {
  if (token.startsWith("'")) return token.replace(/^'|'$/g, "");
  if (token.startsWith('"')) return token.replace(/^"|"$/g, "").replace(/\\(["\\$`])/g, "$1");
  return token.replace(/^\\/, "");
}
