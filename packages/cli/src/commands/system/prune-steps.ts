import type { PruneReport } from "../../client/documents.ts";
import type { EngineClient } from "../../client/engine-client.ts";
import { deletionLine } from "../image/rmi.ts";
import { filterQuery } from "../list-flags.ts";

export type Filters = Readonly<Record<string, readonly string[]>>;

export interface PruneOptions {
  readonly all: boolean;
  readonly filters: Filters;
}

export interface PruneOutcome {
  /** What was removed, a heading and a line for each; empty when nothing was. */
  readonly text: string;
  /** Bytes. */
  readonly freed: number;
}

export type PruneKind = "container" | "network" | "volume" | "image" | "builder";

/** A prune call as our own engine takes it for a plan. */
export interface PruneStep {
  readonly Kind: PruneKind;
  readonly All: boolean;
  readonly Filters: Filters;
}

/** The call that `pruneKind` makes. */
export function stepOf(kind: PruneKind, { all, filters }: PruneOptions): PruneStep {
  const Filters =
    kind === "volume" && all
      ? { ...filters, all: ["true"] }
      : kind === "image"
        ? { ...filters, dangling: [String(!all)] }
        : filters;
  return { Kind: kind, All: all, Filters };
}

/** Removes what is not used of one kind. */
export async function pruneKind(
  client: EngineClient,
  kind: PruneKind,
  { all, filters }: PruneOptions,
): Promise<PruneOutcome> {
  switch (kind) {
    case "container":
      return outcome(
        await post(client, "/containers/prune", filters),
        "Deleted Containers:",
        (report) => report.ContainersDeleted,
      );
    case "network":
      return outcome(
        await post(client, "/networks/prune", filters),
        "Deleted Networks:",
        (report) => report.NetworksDeleted,
      );
    case "volume": {
      const { Filters } = stepOf(kind, { all, filters });
      return outcome(
        await post(client, "/volumes/prune", Filters),
        "Deleted Volumes:",
        (report) => report.VolumesDeleted,
      );
    }
    case "image": {
      const { Filters } = stepOf(kind, { all, filters });
      return outcome(await post(client, "/images/prune", Filters), "Deleted Images:", (report) =>
        report.ImagesDeleted?.map((item) => imageLine(item)),
      );
    }
    case "builder": {
      const query = { all, filters: filterQuery(filters) };
      const report = await client.json<PruneReport>("POST", "/build/prune", { query });
      return outcome(report, "Deleted build cache objects:", (document) => document.CachesDeleted);
    }
  }
}

async function post(client: EngineClient, path: string, filters: Filters): Promise<PruneReport> {
  return await client.json<PruneReport>("POST", path, { query: { filters: filterQuery(filters) } });
}

function outcome(
  report: PruneReport,
  heading: string,
  removed: (report: PruneReport) => readonly string[] | null | undefined,
): PruneOutcome {
  const lines = removed(report) ?? [];
  const text = lines.length === 0 ? "" : `${heading}\n${lines.map((line) => `${line}\n`).join("")}`;
  return { text, freed: lines.length === 0 ? 0 : (report.SpaceReclaimed ?? 0) };
}

/** Docker writes these in lower case here. */
function imageLine(item: Parameters<typeof deletionLine>[0]): string {
  return deletionLine(item)
    .trimEnd()
    .replace(/^\w/, (letter) => letter.toLowerCase());
}
