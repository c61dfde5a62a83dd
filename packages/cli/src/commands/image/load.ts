import type { ProgressLine } from "../../client/documents.ts";
import { jsonLines } from "../../client/json-lines.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { inputOf } from "../../input-file.ts";
import { Meter } from "../../output/meter.ts";
import { ProgressLines } from "../../output/progress-lines.ts";

export const load = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    input: flag.string("Read from this file instead of stdin", { short: "i" }),
    platform: flag.string("Load only this platform's image"),
    quiet: flag.bool("Say less", { short: "q" }),
  },
  examples: [
    ["slipway load -i images.tar", "Images out of an archive of save"],
    ["ssh host docker save web | slipway load", "From another machine"],
  ],
  async run({ flags, session }) {
    const { io } = session;
    if (flags.input === "" && io.stdin.isTerminal()) {
      throw new ExitError(
        1,
        "requested load from stdin, but stdin is empty",
        "Name an archive with -i, or pipe one in.",
      );
    }
    const source = await inputOf(flags.input === "" ? "-" : flags.input, io);
    using meter = new Meter(io, { doing: "Loading", total: source.size });
    const client = await session.client();
    const response = await client.request("POST", "/images/load", {
      query: { quiet: flags.quiet, platform: flags.platform || undefined },
      headers: { "Content-Type": "application/x-tar" },
      body: meter.counting(source.stream),
    });
    const progress = new ProgressLines(io.stdout, { quiet: flags.quiet, env: io.env });
    for await (const line of jsonLines<ProgressLine>(response.body)) {
      if (line.error !== undefined) throw new ApiError(500, line.errorDetail?.message ?? line.error);
      meter.clear();
      progress.show(line);
      await io.stdout.flush();
    }
    progress.end();
    return 0;
  },
});
