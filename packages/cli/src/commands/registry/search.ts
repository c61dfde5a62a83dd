import { HUB, keyOfRegistry } from "../../credentials/registry-credentials.ts";
import { ExitError } from "../../errors.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { type Listing, renderListing } from "../../output/listing.ts";
import { ellipsis } from "../../output/text.ts";
import { FORMAT_HELP, filterQuery } from "../list-flags.ts";
import { loginHeader } from "./registry-access.ts";

interface Found {
  readonly name?: string;
  readonly description?: string;
  readonly star_count?: number;
  readonly is_official?: boolean;
  readonly is_automated?: boolean;
}

export const search = command({
  usage: "[OPTIONS] TERM",
  args: exactly(1),
  flags: {
    filter: flag.filter("Show those that match (is-official=true, stars=3)", { short: "f" }),
    format: flag.string(FORMAT_HELP),
    limit: flag.int("Most results", { default: 25 }),
    "no-trunc": flag.bool("Do not cut descriptions"),
  },
  examples: [["slipway search --filter stars=100 nginx", "Images that people like"]],
  async run({ flags, args: [term = ""], session }) {
    if (flags.limit < 1 || flags.limit > 100)
      throw new ExitError(1, `limit ${flags.limit} is outside the range of [1, 100]`);
    const client = await session.client();
    const slash = term.indexOf("/");
    const first = slash < 0 ? "" : term.slice(0, slash);
    const key = /[.:]/.test(first) || first === "localhost" ? keyOfRegistry(first) : HUB;
    const found = await client.json<Found[]>("GET", "/images/search", {
      query: { term, limit: flags.limit, filters: filterQuery(flags.filter) },
      headers: await loginHeader(session, key),
    });
    const sorted = found.toSorted((a, b) => (b.star_count ?? 0) - (a.star_count ?? 0));
    session.io.stdout.write(
      await renderListing(listing(flags["no-trunc"]), sorted, { format: flags.format, quiet: false }),
    );
    return 0;
  },
});

function listing(whole: boolean): Listing<Found> {
  const description = ({ description = "" }: Found) => {
    const line = description.replaceAll(/[\r\n]+/g, " ");
    return whole ? line : ellipsis(line, 45);
  };
  return {
    type: "*search.searchContext",
    fields: {
      Name: { heading: "NAME", value: ({ name = "" }) => name },
      Description: { heading: "DESCRIPTION", value: description },
      StarCount: { heading: "STARS", value: ({ star_count: stars = 0 }) => String(stars) },
      IsOfficial: { heading: "OFFICIAL", value: ({ is_official: official }) => (official ? "[OK]" : "") },
      IsAutomated: { heading: "AUTOMATED", value: ({ is_automated: automated }) => (automated ? "[OK]" : "") },
    },
    table: ["Name", "Description", "StarCount", "IsOfficial"],
    quiet: "Name",
    raw: "",
  };
}
