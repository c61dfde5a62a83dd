import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { forEachName, segment } from "../each.ts";

export const rm = command({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  args: atLeast(1),
  flags: { force: flag.bool("Say nothing of volumes that do not exist", { short: "f" }) },
  examples: [["slipway volume rm data", "Remove a volume that no container uses"]],
  async run({ flags, args, session }) {
    const client = await session.client();
    return await forEachName(session, args, async (name) => {
      await client.send("DELETE", `/volumes/${segment(name)}`, { query: { force: flags.force } });
      return name;
    });
  },
});
