import type { ProgressLine } from "../../client/documents.ts";
import { jsonLines } from "../../client/json-lines.ts";
import { ApiError } from "../../errors.ts";
import { command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { inputOf } from "../../input-file.ts";
import { Meter } from "../../output/meter.ts";
import { splitReference } from "../../output/text.ts";

export const importImage = command({
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  args: { min: 1, max: 2 },
  flags: {
    change: flag.list("Apply a Dockerfile instruction to the image", { short: "c" }),
    message: flag.string("Comment of the image", { short: "m" }),
    platform: flag.string("Platform of the image"),
  },
  examples: [["slipway import files.tar base:1", "An image of one layer from an archive"]],
  async run({ flags, args: [source = "", reference], session }) {
    const isUrl = /^https?:\/\//.test(source);
    const { repository, tag } = splitReference(reference ?? "");
    const client = await session.client();
    const input = isUrl ? undefined : await inputOf(source, session.io);
    using meter = new Meter(session.io, { doing: "Importing", total: input?.size });
    const response = await client.request("POST", "/images/create", {
      query: {
        fromSrc: isUrl ? source : "-",
        repo: reference === undefined ? undefined : repository,
        tag,
        message: flags.message || undefined,
        changes: flags.change,
        platform: flags.platform || undefined,
      },
      ...(input === undefined ? {} : { body: meter.counting(input.stream) }),
    });
    for await (const line of jsonLines<ProgressLine>(response.body)) {
      if (line.error !== undefined) throw new ApiError(500, line.errorDetail?.message ?? line.error);
      meter.clear();
      if (line.status !== undefined) session.io.stdout.write(`${line.status}\n`);
    }
    return 0;
  },
});
