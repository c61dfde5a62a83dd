import { humanSize } from "@slipway/base";
import type { HistoryItem } from "../../client/documents.ts";
import { command, exactly } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { rfc3339 } from "../../output/go-time.ts";
import { type Listing, renderListing } from "../../output/listing.ts";
import { ago, ellipsis, truncateId } from "../../output/text.ts";
import { FORMAT_HELP } from "../list-flags.ts";
import { imagePath } from "./image-path.ts";

interface HistoryRow {
  readonly item: HistoryItem;
  readonly truncate: boolean;
  readonly human: boolean;
  readonly now: number;
}

/** Moments before this are no dates but zeros that stand for none. Seconds. */
const EPOCH = Date.UTC(2000, 0, 1) / 1000;

const FIELDS: Listing<HistoryRow>["fields"] = {
  ID: { heading: "IMAGE", value: ({ item, truncate }) => (truncate ? truncateId(item.Id) : item.Id) },
  CreatedSince: {
    heading: "CREATED",
    value: ({ item, human, now }) => {
      if (!human) return rfc3339(item.Created);
      return item.Created <= EPOCH ? "N/A" : ago(item.Created, now);
    },
  },
  CreatedAt: { heading: "CREATED AT", value: ({ item }) => rfc3339(item.Created) },
  CreatedBy: {
    heading: "CREATED BY",
    value: ({ item, truncate }) => {
      const text = item.CreatedBy.replaceAll("\t", " ");
      return truncate ? ellipsis(text, 45) : text;
    },
  },
  Size: { heading: "SIZE", value: ({ item, human }) => (human ? humanSize(item.Size) : String(item.Size)) },
  Comment: { heading: "COMMENT", value: ({ item }) => item.Comment },
};

export const history = command({
  usage: "[OPTIONS] IMAGE",
  args: exactly(1),
  flags: {
    format: flag.string(FORMAT_HELP),
    human: flag.bool("Print sizes and dates for people", { short: "H", default: true }),
    "no-trunc": flag.bool("Do not shorten what is long"),
    platform: flag.string("Show the history of this platform's image"),
    quiet: flag.bool("Show IDs only", { short: "q" }),
  },
  examples: [["slipway history --no-trunc nginx", "The steps that made an image, in full"]],
  async run({ flags, args: [name = ""], session }) {
    const client = await session.client();
    const items = await client.json<HistoryItem[]>("GET", `/images/${imagePath(name)}/history`, {
      query: { platform: flags.platform || undefined },
    });
    const now = Date.now();
    const rows = items.map((item) => ({ item, truncate: !flags["no-trunc"], human: flags.human, now }));
    const created = flags.human ? "CreatedSince" : "CreatedAt";
    const listing: Listing<HistoryRow> = {
      type: "*image.historyContext",
      fields: FIELDS,
      table: ["ID", created, "CreatedBy", "Size", "Comment"],
      quiet: "ID",
    };
    session.io.stdout.write(await renderListing(listing, rows, flags));
    return 0;
  },
});
