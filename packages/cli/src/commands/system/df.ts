import { humanSize } from "@slipway/base";
import type { DiskUsage } from "../../client/documents.ts";
import type { EngineClient } from "../../client/engine-client.ts";
import { ApiError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { CACHE_FIELDS, type CacheRow, sortCache } from "../../output/cache-listing.ts";
import { containerListing } from "../../output/container-listing.ts";
import { goJson } from "../../output/go-json.ts";
import { imageListing, imageRows } from "../../output/image-listing.ts";
import { type Listing, renderListing } from "../../output/listing.ts";
import { renderDocument } from "../../output/template-output.ts";
import { volumeListing } from "../../output/volume-listing.ts";
import { FORMAT_HELP } from "../list-flags.ts";
import { type UsageRow, usageRows } from "./usage-rows.ts";

const SUMMARY: Listing<UsageRow> = {
  type: "*formatter.diskUsageContext",
  fields: {
    Type: { heading: "TYPE", value: (row) => row.type },
    TotalCount: { heading: "TOTAL", value: (row) => String(row.total) },
    Active: { heading: "ACTIVE", value: (row) => String(row.active) },
    Size: { heading: "SIZE", value: (row) => humanSize(row.size, 4) },
    Reclaimable: { heading: "RECLAIMABLE", value: (row) => row.reclaimable },
  },
  table: ["Type", "TotalCount", "Active", "Size", "Reclaimable"],
  quiet: "Type",
  raw: "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n",
};

export const df = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    format: flag.string(FORMAT_HELP),
    verbose: flag.bool("Show each thing by itself", { short: "v" }),
  },
  examples: [["slipway system df -v", "What takes space, one by one"]],
  async run({ flags, session }) {
    const client = await session.client();
    const usage = await client.json<DiskUsage>("GET", "/system/df");
    const { stdout } = session.io;
    if (!flags.verbose) {
      stdout.write(await renderListing(SUMMARY, usageRows(usage), { format: flags.format, quiet: false }));
    } else if (flags.format === "" || flags.format === "table") {
      stdout.write(`${await verboseTables(usage)}${await trashLine(client)}`);
    } else {
      const document = verboseDocument(usage);
      const isJson = flags.format === "json";
      stdout.write(isJson ? goJson(JSON.stringify(document)) : await renderDocument(document, flags.format));
    }
    return 0;
  },
});

/** What prunes keep, if it is anything; of an engine without a trash nothing. */
async function trashLine(client: EngineClient): Promise<string> {
  const answer = await client.json<{ readonly Size: number }>("GET", "/slipway/trash").catch((error: unknown) => {
    if (error instanceof ApiError) return { Size: 0 };
    throw error;
  });
  return answer.Size === 0 ? "" : `\nTrash usage: ${humanSize(answer.Size, 4)} (slipway system trash ls)\n`;
}

const IMAGE_TABLE = ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"];
const CONTAINER_TABLE = ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"];
const CACHE: Listing<CacheRow> = {
  type: "*formatter.buildCacheContext",
  fields: CACHE_FIELDS,
  table: ["ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"],
  quiet: "ID",
};
const TABLE = { format: "", quiet: false };

async function verboseTables(usage: DiskUsage): Promise<string> {
  const { images, containers, volumes, cache } = rowsOf(usage, true);
  const cacheSize = cache.reduce((sum, { record }) => sum + (record.Shared ? 0 : record.Size), 0);
  return [
    "Images space usage:\n\n",
    await renderListing({ ...imageListing({ digests: false }), table: IMAGE_TABLE }, images, TABLE),
    "\nContainers space usage:\n\n",
    await renderListing({ ...containerListing({ size: true }), table: CONTAINER_TABLE }, containers, TABLE),
    "\nLocal Volumes space usage:\n\n",
    await renderListing(volumeListing(["Name", "Links", "Size"]), volumes, TABLE),
    `\nBuild cache usage: ${humanSize(cacheSize, 4)}\n\n`,
    await renderListing(CACHE, cache, TABLE),
  ].join("");
}

function verboseDocument(usage: DiskUsage): unknown {
  const { images, containers, volumes, cache } = rowsOf(usage, false);
  return {
    // Docker's client asks for no digests here, and says so by an empty one.
    Images: images.map((row) => ({ ...record(imageListing({ digests: true }), row), Digest: "" })),
    Containers: containers.map((row) => record(containerListing({ size: true }), row)),
    Volumes: volumes.map((row) => record(volumeListing([]), row)),
    BuildCache: cache.map((row) => record(CACHE, row)),
  };
}

function record<Row>(listing: Listing<Row>, row: Row): Record<string, unknown> {
  const names = Object.keys(listing.fields).filter((name) => listing.fields[name]?.method !== true);
  return Object.fromEntries(names.sort().map((name) => [name, listing.fields[name]?.value(row)]));
}

function rowsOf(usage: DiskUsage, truncate: boolean) {
  const now = Date.now();
  const named = (usage.Images ?? []).map((image) => ({ ...image, RepoDigests: [] }));
  const rows = imageRows(named, { digests: false, truncate, now });
  return {
    // Each image once, by its first name.
    images: rows.filter((row, at) => rows.findIndex(({ image }) => image.Id === row.image.Id) === at),
    // The size of the files that the image brings is told with the image.
    containers: (usage.Containers ?? []).map((container) => ({
      container: { ...container, SizeRootFs: 0 },
      truncate,
      now,
    })),
    volumes: usage.Volumes ?? [],
    cache: sortCache(usage.BuildCache ?? []).map((entry) => ({ record: entry, truncate, now })),
  };
}
