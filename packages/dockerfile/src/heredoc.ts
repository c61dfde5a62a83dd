import { isBlank } from "./blank.ts";
import { type EscapeCharacter, expandWords } from "./expand.ts";

/** A heredoc announced on an instruction's line; its body is on the lines that follow. */
export interface HeredocStart {
  readonly name: string;
  readonly expand: boolean;
  readonly chomp: boolean;
  readonly fileDescriptor: number;
  /** Where `<<` and its word stand in the line, in characters from 0, for tools that take the words apart. */
  readonly start: number;
  readonly end: number;
}

const NO_VARIABLES = new Map<string, string>();

/**
 * The heredocs of one logical line, in order. A heredoc is a word of the line that begins with `<<` or digits and `<<`
 * outside of quotes; blanks may stand before its name. `<<<` is a here-string and not one.
 */
export function heredocsOf(line: string, escapeChar: EscapeCharacter): HeredocStart[] {
  if (!line.includes("<<")) return [];
  const found: HeredocStart[] = [];
  const words = shellWords(line, escapeChar);
  for (let index = 0; index < words.length; index++) {
    const word = words[index];
    const match = word && /^(\d*)<<(-?)([^<]*)$/.exec(word.text);
    if (!word || !match) continue;
    const nameFollows = match[3] === "";
    const named = nameFollows ? words[++index] : { ...word, text: match[3] ?? "" };
    if (named === undefined || named.text.startsWith("<")) continue;
    const name = heredocName(named.text, escapeChar);
    if (name === undefined) continue;
    found.push({
      ...name,
      chomp: match[2] === "-",
      fileDescriptor: Number(match[1] || 0),
      start: word.start,
      end: named.end,
    });
  }
  return found;
}

/** The word without quotes; quotes anywhere in it stop the expansion of the body. Undefined for what is no word. */
function heredocName(raw: string, escapeChar: EscapeCharacter): { name: string; expand: boolean } | undefined {
  // `$((1 << 3))` is arithmetic of the shell: no delimiter has a bare parenthesis.
  const quoted = /(^|[^\\`])['"]/.test(raw);
  if (!quoted && /[()]/.test(raw)) return undefined;
  try {
    const { words } = expandWords(raw, NO_VARIABLES, escapeChar, { keepUnset: true });
    const [name] = words;
    return words.length === 1 && name !== undefined ? { name, expand: !quoted } : undefined;
  } catch {
    return undefined;
  }
}

interface ShellWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Words as a shell parts them, quotes and escapes kept. */
function shellWords(line: string, escapeChar: string): ShellWord[] {
  const words: ShellWord[] = [];
  let start = -1;
  let quote = "";
  for (let index = 0; index <= line.length; index++) {
    const char = line[index];
    if (char === undefined || (quote === "" && isBlank(char))) {
      if (start >= 0) words.push({ text: line.slice(start, index), start, end: index });
      start = -1;
      continue;
    }
    if (start < 0) start = index;
    if (char === escapeChar && quote !== "'") index++;
    else if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === "'" || char === '"') quote = char;
  }
  return words;
}

/** Without the leading tabs of each line. */
export function chompTabs(content: string): string {
  return content.replace(/^\t+/gm, "");
}
