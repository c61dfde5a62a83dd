import { atLeast, command } from "../../grammar/command.ts";
import { alignColumns } from "../../output/tab-writer.ts";
import { segment } from "../each.ts";

export const top = command({
  usage: "CONTAINER [ps OPTIONS]",
  args: atLeast(1),
  interspersed: false,
  flags: {},
  examples: [
    ["slipway top web", "Processes of a container"],
    ["slipway top web -o pid,rss,cmd", "With ps's own options"],
  ],
  async run({ args: [name = "", ...psArguments], session }) {
    const client = await session.client();
    const { Titles, Processes } = await client.json<{ Titles: string[]; Processes: string[][] | null }>(
      "GET",
      `/containers/${segment(name)}/top`,
      { query: { ps_args: psArguments.join(" ") || undefined } },
    );
    const lines = [Titles, ...(Processes ?? [])].map((cells) => `${cells.join("\t")}\n`);
    session.io.stdout.write(alignColumns(lines.join(""), { minWidth: 20, padding: 3 }));
    return 0;
  },
});
