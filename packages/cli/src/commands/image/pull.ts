import { ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { pullImage } from "./pull-image.ts";

export const pull = command({
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  args: exactly(1),
  flags: {
    "all-tags": flag.bool("Fetch all tags of the repository", { short: "a", hidden: true }),
    "disable-content-trust": flag.bool("Not used any more", { default: true, hidden: true }),
    platform: flag.string("Platform of the image"),
    quiet: flag.bool("Say less", { short: "q" }),
  },
  async run({ flags, args: [reference = ""], session }) {
    if (flags["all-tags"]) throw new ExitError(1, "--all-tags: fetching all tags is not built yet");
    const client = await session.client();
    const platform = flags.platform || session.io.env.DOCKER_DEFAULT_PLATFORM;
    await pullImage({ client, reference, platform, quiet: flags.quiet, output: session.io.stdout });
    session.io.stdout.write(`${reference}\n`);
    return 0;
  },
});
