import { ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { containerBytes } from "../../output/image-bytes.ts";
import { saveStream } from "../../output/save-stream.ts";
import { segment } from "../each.ts";

export const exportContainer = command({
  usage: "[OPTIONS] CONTAINER",
  args: exactly(1),
  flags: { output: flag.string("Write to this file instead of stdout", { short: "o" }) },
  examples: [["slipway export -o files.tar web", "All files of a container"]],
  async run({ flags, args: [container = ""], session }) {
    const { io } = session;
    if (flags.output === "" && io.stdout.isTerminal()) {
      throw new ExitError(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    }
    const client = await session.client();
    const response = await client.request("GET", `/containers/${segment(container)}/export`);
    const total = await containerBytes(client, container, io);
    await saveStream(response, { path: flags.output, io, doing: "Exporting", total });
    return 0;
  },
});
