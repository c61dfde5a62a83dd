import { command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { Meter } from "../../output/meter.ts";
import { splitReference } from "../../output/text.ts";

export const commit = command({
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  args: { min: 1, max: 2 },
  flags: {
    author: flag.string("Author of the image", { short: "a" }),
    change: flag.list("Apply a Dockerfile instruction to the image", { short: "c" }),
    message: flag.string("Comment of the image", { short: "m" }),
    pause: flag.bool("Pause the container meanwhile", { short: "p", default: true, hidden: true }),
    "no-pause": flag.bool("Accepted for scripts: a running container is always paused, for its files to stand still"),
  },
  examples: [
    [
      "slipway commit -c 'CMD [\"server\"]' web web:mended",
      "An image of the container as it is now, with another command",
    ],
  ],
  async run({ flags, args: [container = "", reference], session }) {
    const { repository, tag } = splitReference(reference ?? "");
    const client = await session.client();
    using meter = new Meter(session.io, { doing: `Committing ${container}` });
    const { Id } = await client.json<{ Id: string }>("POST", "/commit", {
      query: {
        container,
        repo: repository || undefined,
        tag,
        author: flags.author || undefined,
        comment: flags.message || undefined,
        changes: flags.change,
        pause: flags["no-pause"] || !flags.pause ? "0" : "1",
      },
    });
    meter.clear();
    session.io.stdout.write(`${Id}\n`);
    return 0;
  },
});
