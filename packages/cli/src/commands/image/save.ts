import { ExitError } from "../../errors.ts";
import { atLeast, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { imageBytes } from "../../output/image-bytes.ts";
import { saveStream } from "../../output/save-stream.ts";

export const save = command({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  args: atLeast(1),
  flags: {
    output: flag.string("Write to this file instead of stdout", { short: "o" }),
    platform: flag.string("Save only this platform's image"),
  },
  examples: [["slipway save -o images.tar web:1 db:1", "An archive of several images"]],
  async run({ flags, args, session }) {
    const { io } = session;
    if (flags.output === "" && io.stdout.isTerminal()) {
      throw new ExitError(1, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    }
    const client = await session.client();
    const response = await client.request("GET", "/images/get", {
      query: { names: args, platform: flags.platform || undefined },
    });
    const total = await imageBytes(client, args, io);
    await saveStream(response, { path: flags.output, io, doing: "Saving", total });
    return 0;
  },
});
