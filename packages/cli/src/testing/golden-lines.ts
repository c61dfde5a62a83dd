/** Words of a line, quoted as in a shell; `<<< text` at the end is the standard input. */
export function parseCommandLine(line: string): { argv: string[]; stdin: string } {
  const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
  const at = words.indexOf("<<<");
  return at < 0 ? { argv: words, stdin: "" } : { argv: words.slice(0, at), stdin: `${words[at + 1] ?? ""}\n` };
}

/** Moments differ from run to run: dates become a mark, ages of seconds too. */
export function maskTimes(text: string): string {
  return text
    .replace(/20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \S+/g, "<date>")
    .replace(/2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)/g, "<date>")
    .replace(/\d+ seconds ago/g, "<seconds>");
}
