import type { ContainerSummary } from "../../client/documents.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { containerListing } from "../../output/container-listing.ts";
import { renderListing } from "../../output/listing.ts";
import { FORMAT_HELP, filterQuery } from "../list-flags.ts";

export const ps = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    all: flag.bool("Show all containers, not only running ones", { short: "a" }),
    filter: flag.filter("Show those that match (name=value)", { short: "f" }),
    format: flag.string(FORMAT_HELP),
    last: flag.int("Show the last n created, in any state", { short: "n", default: -1 }),
    latest: flag.bool("Show the last created, in any state", { short: "l" }),
    "no-trunc": flag.bool("Do not shorten what is long"),
    quiet: flag.bool("Show IDs only", { short: "q" }),
    size: flag.bool("Show sizes of files", { short: "s" }),
  },
  examples: [
    ["slipway ps -a --filter status=exited", "Containers that have ended"],
    ["slipway ps --format 'table {{.Names}}\\t{{.Status}}'", "Two columns of your own"],
  ],
  async run({ flags, session }) {
    const client = await session.client();
    const format = flags.format !== "" || flags.quiet ? flags.format : ((await session.config()).psFormat ?? "");
    const last = flags.latest ? 1 : flags.last;
    // Sizes cost the engine a walk over the files: they are asked for only when they are shown.
    const size = flags.size || /\{\{[^}]*\.Size\b|\{\{-?\s*json\s+\.\s*-?\}\}/.test(format);
    const containers = await client.json<ContainerSummary[]>("GET", "/containers/json", {
      query: { all: flags.all, limit: last > 0 ? last : undefined, size, filters: filterQuery(flags.filter) },
    });
    const now = Date.now();
    const rows = containers.map((container) => ({ container, truncate: !flags["no-trunc"], now }));
    if (flags.quiet && flags.format !== "") {
      session.io.stderr.write("WARNING: Ignoring custom format, because both --format and --quiet are set.\n");
    }
    const shown = flags.quiet && format !== "raw" ? "" : format;
    session.io.stdout.write(
      await renderListing(containerListing({ size: flags.size }), rows, { format: shown, quiet: flags.quiet }),
    );
    return 0;
  },
});
