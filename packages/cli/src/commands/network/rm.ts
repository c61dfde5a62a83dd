import { ApiError } from "../../errors.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { forEachName, segment } from "../each.ts";

export const rm = command({
  usage: "NETWORK [NETWORK...]",
  args: atLeast(1),
  flags: { force: flag.bool("Say nothing of networks that do not exist", { short: "f" }) },
  examples: [["slipway network rm front", "Remove a network that no container uses"]],
  async run({ flags, args, session }) {
    const client = await session.client();
    return await forEachName(session, args, async (name) => {
      try {
        await client.send("DELETE", `/networks/${segment(name)}`);
      } catch (error) {
        if (flags.force && error instanceof ApiError && error.status === 404) return undefined;
        throw error;
      }
      return name;
    });
  },
});
