import type { ProgressLine } from "../../client/documents.ts";
import { jsonLines } from "../../client/json-lines.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { asStream, inputFile } from "../../input-file.ts";
import { ProgressLines } from "../../output/progress-lines.ts";

export const load = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    input: flag.string("Read from this file instead of stdin", { short: "i" }),
    platform: flag.string("Load only this platform's image"),
    quiet: flag.bool("Say less", { short: "q" }),
  },
  async run({ flags, session }) {
    const { io } = session;
    if (flags.input === "" && io.stdin.isTerminal()) {
      throw new ExitError(
        1,
        "requested load from stdin, but stdin is empty",
        "Name an archive with -i, or pipe one in.",
      );
    }
    const body = flags.input === "" ? asStream(io.stdin.chunks()) : await inputFile(flags.input);
    const client = await session.client();
    const response = await client.request("POST", "/images/load", {
      query: { quiet: flags.quiet, platform: flags.platform || undefined },
      headers: { "Content-Type": "application/x-tar" },
      body,
    });
    const progress = new ProgressLines(io.stdout, flags.quiet);
    for await (const line of jsonLines<ProgressLine>(response.body)) {
      if (line.error !== undefined) throw new ApiError(500, line.errorDetail?.message ?? line.error);
      progress.show(line);
      await io.stdout.flush();
    }
    progress.end();
    return 0;
  },
});
