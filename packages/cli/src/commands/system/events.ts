import type { EventDocument } from "../../client/documents.ts";
import { textLines } from "../../client/json-lines.ts";
import { ExitError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { timestamp } from "../../notation/timestamp.ts";
import { rfc3339Nano } from "../../output/go-time.ts";
import { filterQuery, INSPECT_FORMAT_HELP } from "../list-flags.ts";

export const events = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    filter: flag.filter("Show those that match (type=container, event=die)", { short: "f" }),
    format: flag.string(INSPECT_FORMAT_HELP),
    since: flag.string("Begin with events of this time (2013-01-02T13:23:37Z, or 42m for as long ago)"),
    until: flag.string("End with events of this time"),
  },
  examples: [
    ["slipway events --filter event=die", "Whatever ends, when it ends"],
    ["slipway events --since 1h --until 0s", "What has happened in this hour"],
  ],
  async run({ flags, session }) {
    const print = await printer(flags.format);
    const client = await session.client();
    const response = await client.request("GET", "/events", {
      query: { since: timestamp(flags.since), until: timestamp(flags.until), filters: filterQuery(flags.filter) },
    });
    for await (const line of textLines(response.body)) {
      session.io.stdout.write(`${print(readEvent(line))}\n`);
      await session.io.stdout.flush();
    }
    return 0;
  },
});

/** Nanoseconds since the epoch do not fit into a double: their digits are read from the text. */
type Event = Omit<EventDocument, "timeNano"> & { readonly timeNano?: bigint };

function readEvent(line: string): Event {
  const { timeNano: _, ...document } = JSON.parse(line) as EventDocument;
  const event = { ...document, Actor: { ...document.Actor, Attributes: sorted(document.Actor.Attributes ?? {}) } };
  const nanoseconds = /"timeNano":\s*(\d+)/.exec(line)?.[1];
  return nanoseconds === undefined ? event : { ...event, timeNano: BigInt(nanoseconds) };
}

/** Go writes maps sorted. */
function sorted(attributes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The document as it came, with all of the digits. */
function eventJson(event: Event): string {
  const text = JSON.stringify({ ...event, timeNano: undefined });
  return event.timeNano === undefined ? text : `${text.slice(0, -1)},"timeNano":${event.timeNano}}`;
}

async function printer(format: string): Promise<(event: Event) => string> {
  if (format === "") return eventLine;
  if (format === "json") return eventJson;
  const { Template, TemplateError } = await import("@slipway/gotemplate");
  try {
    const template = Template.parse(format);
    return (event) => template.execute(withOldNames(event));
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new ExitError(64, `Error parsing format: ${error.message}`);
  }
}

/** Fields of Go's type that the JSON names differently. */
function withOldNames(event: Event): object {
  const names = {
    Time: event.time,
    TimeNano: event.timeNano ?? 0,
    Scope: event.scope ?? "",
    Status: event.Action,
    ID: event.Actor.ID,
  };
  return Object.assign(Object.create(names) as object, event);
}

function eventLine(event: Event): string {
  const moment = event.timeNano ? BigInt(event.timeNano) : BigInt(event.time) * 1_000_000_000n;
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(", ");
  const suffix = attributes === "" ? "" : ` (${attributes})`;
  return `${rfc3339Nano(moment)} ${event.Type} ${event.Action} ${event.Actor.ID}${suffix}`;
}
