import type { ContainerDocument } from "../../client/documents.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { timestamp } from "../../notation/timestamp.ts";
import { copyOutput } from "../../streams/copy-streams.ts";
import { segment } from "../each.ts";

export const logs = command({
  usage: "[OPTIONS] CONTAINER",
  args: exactly(1),
  flags: {
    details: flag.bool("Show what was logged along with it"),
    follow: flag.bool("Go on showing new output", { short: "f" }),
    since: flag.string("Only from this time on (2013-01-02T13:23:37Z, or 42m for as long ago)"),
    tail: flag.string("Number of last lines", { short: "n", default: "all" }),
    timestamps: flag.bool("Show when it was said", { short: "t" }),
    until: flag.string("Only up to this time (2013-01-02T13:23:37Z, or 42m for as long ago)"),
  },
  examples: [
    ["slipway logs -f --tail 20 web", "The last lines, and all that come"],
    ["slipway logs --since 10m -t web", "Those of ten minutes, with their times"],
  ],
  async run({ flags, args: [name = ""], session }) {
    const client = await session.client();
    const response = await client.request("GET", `/containers/${segment(name)}/logs`, {
      query: {
        stdout: 1,
        stderr: 1,
        follow: flags.follow,
        timestamps: flags.timestamps,
        details: flags.details,
        tail: flags.tail,
        since: timestamp(flags.since),
        until: timestamp(flags.until),
      },
    });
    const { body } = response;
    if (body === null) return 0;
    const type = response.headers.get("content-type") ?? "";
    const raw = type.includes("vnd.docker.raw-stream") || (!type.includes("multiplexed") && (await hasTerminal()));
    await copyOutput({ multiplexed: !raw, chunks: () => body }, session.io);
    return 0;

    /** Older engines do not say in the answer how the stream is made. */
    async function hasTerminal(): Promise<boolean> {
      const container = await client.json<ContainerDocument>("GET", `/containers/${segment(name)}/json`);
      return container.Config.Tty;
    }
  },
});
