import { TREE } from "./command-tree.ts";
import { GLOBAL_FLAGS } from "./global-flags.ts";
import type { Command, CommandEntry, GroupEntry } from "./grammar/command.ts";
import type { Flags } from "./grammar/flag.ts";
import { defaultText, flagUsage } from "./grammar/help.ts";

const PROGRAM = "slipway";

/** The reference of all commands as Markdown, from the tables that parsing and help are made from. */
export async function commandReference(): Promise<string> {
  const sections = [
    "# Commands\n\nMade from the command table by `bun scripts/write-reference.ts`; a test holds this page to it. Docker's commands have Docker's flags and meaning.",
    `## Global options\n\nBefore the command.\n\n${flagTable(GLOBAL_FLAGS)}`,
    ...(await groupSections(TREE, [PROGRAM])),
    absentSection(),
  ];
  return `${sections.join("\n\n")}\n`;
}

async function groupSections(group: GroupEntry, path: readonly string[]): Promise<string[]> {
  const shown = group.entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const sections: string[] = [];
  for (const entry of shown) {
    if (entry.kind === "group") sections.push(...(await groupSections(entry, [...path, entry.name])));
    else if (entry.kind === "command" && entry.hidden !== true && isMainName(entry, path)) {
      sections.push(commandSection(entry, await entry.load(), [...path, entry.name].join(" ")));
    }
  }
  return sections;
}

/** What stands both at the top and in a group is told once, where people type it. */
function isMainName(entry: CommandEntry, path: readonly string[]): boolean {
  return path.length === 1 || entry.also === undefined;
}

function commandSection(entry: CommandEntry, command: Command, path: string): string {
  const also = [...new Set(entry.also ?? [])].map((name) => `${PROGRAM} ${name}`).filter((name) => name !== path);
  const usage = command.usage.replaceAll("\n\t", "\n");
  const parts = [
    `## ${path}`,
    `${entry.summary}.${also.length === 0 ? "" : ` Also: ${also.map((name) => `\`${name}\``).join(", ")}.`}`,
    `\`\`\`\n${usage === "" ? path : `${path} ${usage}`}\n\`\`\``,
    flagTable(command.flags),
    examples(command.examples ?? []),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function flagTable(flags: Flags): string {
  const rows = Object.entries(flags)
    .filter(([, flag]) => flag.hidden !== true)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => `| \`${flagUsage(name, flag)}\` | ${cell(flag.help + defaultText(flag))} |`);
  return rows.length === 0 ? "" : ["| Option | What it does |", "|---|---|", ...rows].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("\n", " ").replaceAll("|", "\\|");
}

function examples(list: readonly (readonly [command: string, what: string])[]): string {
  if (list.length === 0) return "";
  return `\`\`\`sh\n${list.map(([command, what]) => `# ${what}\n${command}`).join("\n")}\n\`\`\``;
}

function absentSection(): string {
  const names: string[] = [];
  const collect = (group: GroupEntry, path: string) => {
    for (const entry of group.entries) {
      if (entry.kind === "group") collect(entry, `${path}${entry.name} `);
      else if (entry.kind === "absent") names.push(`| \`${path}${entry.name}\` | ${cell(entry.reason)} |`);
    }
  };
  collect(TREE, "");
  return `## Commands of Docker's that are not here\n\n| Command | Why |\n|---|---|\n${names.toSorted().join("\n")}`;
}
