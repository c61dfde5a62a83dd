import type { Command, CommandEntry, Entry, GroupEntry } from "./command.ts";
import type { Flag, Flags } from "./flag.ts";

const KIND_WORDS: Readonly<Record<Flag["kind"], string>> = {
  bool: "",
  string: "string",
  list: "list",
  strings: "strings",
  int: "int",
  uint: "uint",
  decimal: "decimal",
  bytes: "bytes",
  duration: "duration",
  filter: "filter",
};

export function commandHelp(path: string, entry: CommandEntry, command: Command, columns: number): string {
  const also = [...new Set(entry.also ?? [])];
  const sections = [
    `Usage:  ${usageLine(path, command)}`,
    wrap(entry.summary, columns).join("\n"),
    also.length > 1 ? `Aliases:\n  ${also.map((name) => `slipway ${name}`).join(", ")}` : "",
    optionsSection(command.flags, columns),
    examplesSection(command.examples ?? []),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

export function usageLine(path: string, command: Command): string {
  return command.usage === "" ? path : `${path} ${command.usage}`;
}

export function groupHelp(path: string, group: GroupEntry): string {
  return [
    `Usage:  ${path} COMMAND`,
    group.summary,
    `Commands:\n${entryLines(group.entries).join("\n")}`,
    `Run '${path} COMMAND --help' for more information on a command.`,
    "",
  ]
    .join("\n\n")
    .replace(/\n\n$/, "\n");
}

/** Commands of a table, aligned; those of Docker's that are not here are told apart by their summaries elsewhere. */
export function entryLines(entries: readonly Entry[]): string[] {
  const shown = entries.filter((entry) => entry.kind !== "absent" && !(entry.kind === "command" && entry.hidden));
  const width = Math.max(...shown.map((entry) => entry.name.length), 11);
  return shown
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((entry) => `  ${entry.name.padEnd(width)} ${entry.summary}`);
}

export function optionsSection(flags: Flags, columns: number, title = "Options"): string {
  const rows = Object.entries(flags)
    .filter(([, flag]) => flag.hidden !== true)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => ({ left: flagColumn(name, flag), right: flag.help + defaultText(flag) }));
  if (rows.length === 0) return "";
  const width = Math.max(...rows.map((row) => row.left.length)) + 3;
  const lines = rows.flatMap(({ left, right }) =>
    wrap(right, Math.max(columns - width, 24)).map((line, index) =>
      index === 0 ? left.padEnd(width) + line : " ".repeat(width) + line,
    ),
  );
  return `${title}:\n${lines.join("\n")}`;
}

function examplesSection(examples: readonly (readonly [string, string])[]): string {
  if (examples.length === 0) return "";
  return `Examples:\n${examples.map(([command, what]) => `  # ${what}\n  ${command}`).join("\n")}`;
}

function flagColumn(name: string, flag: Flag): string {
  return flag.short === undefined ? `      ${flagUsage(name, flag)}` : `  ${flagUsage(name, flag)}`;
}

/** `-f, --filter filter`. */
export function flagUsage(name: string, flag: Flag): string {
  const short = flag.short === undefined ? "" : `-${flag.short}, `;
  const word = flag.type ?? KIND_WORDS[flag.kind];
  const bare = flag.bare !== undefined && flag.kind !== "bool" ? `[="${flag.bare}"]` : "";
  return `${short}--${name}${bare}${word === "" ? "" : ` ${word}`}`;
}

/** ` (default "x")`, or nothing. */
export function defaultText(flag: Flag): string {
  const value = flag.default;
  if (value === undefined || value === false || value === "" || value === 0) return "";
  if (typeof value === "string") return ` (default "${value}")`;
  return typeof value === "object" ? "" : ` (default ${value})`;
}

/** Lines of at most `columns` characters, broken at spaces. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > columns) {
        lines.push(line);
        line = word;
      } else {
        line = line === "" ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
}
