import type { ImageSummary } from "../../client/documents.ts";
import { ExitError } from "../../errors.ts";
import { atMost, command } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { imageListing, imageRows } from "../../output/image-listing.ts";
import { imageTree, type TreeImage } from "../../output/image-tree.ts";
import { renderListing } from "../../output/listing.ts";
import { FORMAT_HELP, filterQuery } from "../list-flags.ts";

export const images = command({
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  args: atMost(1),
  flags: {
    all: flag.bool("Show intermediate images too", { short: "a" }),
    digests: flag.bool("Show digests"),
    filter: flag.filter("Show those that match (name=value)", { short: "f" }),
    format: flag.string(FORMAT_HELP),
    "no-trunc": flag.bool("Do not shorten what is long"),
    quiet: flag.bool("Show IDs only", { short: "q" }),
    tree: flag.bool("Show all names of images, and their platforms below them"),
  },
  examples: [
    ["slipway images 'example.com/*'", "Images of one registry"],
    ["slipway images --filter dangling=true", "Images without a name"],
    ["slipway images --tree", "Images with their names below them"],
  ],
  async run({ flags, args: [reference], session }) {
    if (flags.tree && (flags.quiet || flags.format !== "" || flags.digests)) {
      throw new ExitError(1, "--tree cannot be combined with --quiet, --format or --digests");
    }
    const client = await session.client();
    const filter =
      reference === undefined
        ? flags.filter
        : { ...flags.filter, reference: [...(flags.filter.reference ?? []), reference] };
    if (flags.tree) {
      const query = { all: flags.all, filters: filterQuery(filter), manifests: true };
      const found = await client.json<TreeImage[]>("GET", "/images/json", { query });
      session.io.stdout.write(imageTree(found, { truncate: !flags["no-trunc"] }));
      return 0;
    }
    const format = flags.format !== "" || flags.quiet ? flags.format : ((await session.config()).imagesFormat ?? "");
    const list = await client.json<ImageSummary[]>("GET", "/images/json", {
      query: { all: flags.all, filters: filterQuery(filter) },
    });
    const digests = flags.digests || format.includes("{{.Digest}}");
    const rows = imageRows(list, { digests, untagged: flags.digests, truncate: !flags["no-trunc"], now: Date.now() });
    const text = await renderListing(imageListing({ digests: flags.digests }), rows, { format, quiet: flags.quiet });
    session.io.stdout.write(text);
    if (rows.length === 0 && reference !== undefined && !flags.quiet && !reference.includes(":")) await hint(reference);
    return 0;

    /** People ask for an image by its tag, or ask a group's word for a name. */
    async function hint(name: string): Promise<void> {
      const all = await client.json<ImageSummary[]>("GET", "/images/json");
      const names = imageRows(all, { digests: false, truncate: true, now: 0 }).map((row) => row.repository);
      const { nearest } = await import("@slipway/base");
      const found = nearest(name, names);
      if (found !== undefined && found !== name)
        session.io.stderr.write(`No image is named '${name}'. Did you mean '${found}'?\n`);
    }
  },
});
