import type { VolumeDocument } from "../../client/documents.ts";
import { ExitError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { renderListing } from "../../output/listing.ts";
import { volumeListing } from "../../output/volume-listing.ts";
import { FORMAT_HELP, filterQuery } from "../list-flags.ts";

export const ls = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    cluster: flag.bool("Show cluster volumes only", { hidden: true }),
    filter: flag.filter("Show those that match (dangling=true, label=name)", { short: "f" }),
    format: flag.string(FORMAT_HELP),
    quiet: flag.bool("Show names only", { short: "q" }),
  },
  examples: [["slipway volume ls --filter dangling=true", "Volumes that no container uses"]],
  async run({ flags, session }) {
    if (flags.cluster) throw new ExitError(1, "--cluster: this engine has no cluster");
    const client = await session.client();
    const format = flags.format !== "" || flags.quiet ? flags.format : ((await session.config()).volumesFormat ?? "");
    const { Volumes } = await client.json<{ Volumes?: VolumeDocument[] | null }>("GET", "/volumes", {
      query: { filters: filterQuery(flags.filter) },
    });
    const volumes = (Volumes ?? []).toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
    session.io.stdout.write(
      await renderListing(volumeListing(["Driver", "Name"]), volumes, { format, quiet: flags.quiet }),
    );
    return 0;
  },
});
