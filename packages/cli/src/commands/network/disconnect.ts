import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { segment } from "../each.ts";

export const disconnect = command({
  usage: "[OPTIONS] NETWORK CONTAINER",
  args: exactly(2),
  flags: { force: flag.bool("Also a container that is half gone", { short: "f" }) },
  examples: [["slipway network disconnect front web", "Take a container out of a network"]],
  async run({ flags, args: [network = "", container = ""], session }) {
    const client = await session.client();
    await client.send("POST", `/networks/${segment(network)}/disconnect`, {
      json: { Container: container, Force: flags.force },
    });
    return 0;
  },
});
