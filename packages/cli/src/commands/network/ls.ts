import type { NetworkDocument } from "../../client/documents.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { type Listing, renderListing } from "../../output/listing.ts";
import { truncateId } from "../../output/text.ts";
import { FORMAT_HELP, filterQuery } from "../list-flags.ts";

interface NetworkRow {
  readonly network: NetworkDocument;
  readonly truncate: boolean;
}

const LISTING: Listing<NetworkRow> = {
  type: "*network.networkContext",
  fields: {
    ID: { heading: "NETWORK ID", value: ({ network, truncate }) => (truncate ? truncateId(network.Id) : network.Id) },
    Name: { heading: "NAME", value: ({ network }) => network.Name },
    Driver: { heading: "DRIVER", value: ({ network }) => network.Driver },
    Scope: { heading: "SCOPE", value: ({ network }) => network.Scope },
    IPv4: { heading: "IPV4", value: ({ network }) => String(network.EnableIPv4 ?? false) },
    IPv6: { heading: "IPV6", value: ({ network }) => String(network.EnableIPv6 ?? false) },
    Internal: { heading: "INTERNAL", value: ({ network }) => String(network.Internal ?? false) },
    Labels: {
      heading: "LABELS",
      value: ({ network }) =>
        Object.entries(network.Labels ?? {})
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
    },
    Label: {
      heading: "LABEL",
      method: true,
      value:
        ({ network }) =>
        (name: unknown) =>
          network.Labels?.[String(name)] ?? "",
    },
    CreatedAt: { heading: "CREATED AT", value: ({ network }) => createdText(network.Created ?? "") },
  },
  table: ["ID", "Name", "Driver", "Scope"],
  quiet: "ID",
  raw: "network_id: {{.ID}}\\nname: {{.Name}}\\ndriver: {{.Driver}}\\nscope: {{.Scope}}\\n",
};

export const ls = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    filter: flag.filter("Show those that match (driver=bridge)", { short: "f" }),
    format: flag.string(FORMAT_HELP),
    "no-trunc": flag.bool("Do not shorten what is long"),
    quiet: flag.bool("Show IDs only", { short: "q" }),
  },
  examples: [["slipway network ls --filter driver=bridge", "Networks of one driver"]],
  async run({ flags, session }) {
    const client = await session.client();
    const format = flags.format !== "" || flags.quiet ? flags.format : ((await session.config()).networksFormat ?? "");
    const networks = await client.json<NetworkDocument[]>("GET", "/networks", {
      query: { filters: filterQuery(flags.filter) },
    });
    const rows = networks
      .toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
      .map((network) => ({ network, truncate: !flags["no-trunc"] }));
    session.io.stdout.write(await renderListing(LISTING, rows, { format, quiet: flags.quiet }));
    return 0;
  },
});

/** Go's `Time.String` of an RFC 3339 date, which keeps the zone that the date was written in. */
function createdText(text: string): string {
  const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.exec(text);
  if (match === null) return text;
  const [, day, time, fraction = "", zone = "Z"] = match;
  const offset = zone === "Z" ? "+0000 UTC" : `${zone.replace(":", "")} ${zone.replace(":", "")}`;
  return `${day} ${time}${fraction.replace(/0+$/, "").replace(/^\.$/, "")} ${offset}`;
}
