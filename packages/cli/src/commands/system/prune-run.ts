import { humanDuration, humanSize } from "@slipway/base";
import type { PruneReport } from "../../client/documents.ts";
import type { EngineClient } from "../../client/engine-client.ts";
import { ApiError } from "../../errors.ts";
import type { Io } from "../../io.ts";
import { confirm } from "../../output/confirm.ts";
import { deletionLine } from "../image/rmi.ts";
import { filterQuery } from "../list-flags.ts";
import { fetchPlan, type PlanItem, printPlan, writePlan } from "./prune-plan.ts";
import type { PruneKind, PruneStep } from "./prune-steps.ts";

export interface PruneFlags {
  readonly force: boolean;
  readonly "dry-run": boolean;
  readonly json: boolean;
  readonly "no-trash": boolean;
}

export interface AskedPrune {
  readonly steps: readonly PruneStep[];
  readonly question: string;
  /** Whether the last line tells of space, which networks do not have. */
  readonly hasTotal: boolean;
}

type KindReport = PruneReport & { readonly Kind: PruneKind };

/** As `POST /slipway/prune` answers; of another engine's answers put together. */
interface ResultDocument {
  readonly Items?: readonly PlanItem[];
  readonly Reports: readonly KindReport[];
  readonly SpaceReclaimed: number;
  readonly Trash?: { readonly Id: string; readonly Size: number; readonly Until: string };
}

/** Shows what would go, asks, and lets it go. */
export async function prune(client: EngineClient, asked: AskedPrune, flags: PruneFlags, io: Io): Promise<number> {
  const request = { Steps: asked.steps, Trash: !flags["no-trash"] };
  if (flags["dry-run"]) return await printPlan(client, request, { io, json: flags.json });
  // Only the result is JSON: what a person answers to goes elsewhere.
  const talk = flags.json ? { stdin: io.stdin, stdout: io.stderr } : io;
  if (!flags.force) {
    const plan = await fetchPlan(client, request);
    const told = { stdout: talk.stdout, wantsTrash: request.Trash };
    if (!(await confirm(plan === undefined ? asked.question : writePlan(plan, asked.question, told), talk))) return 0;
  }
  const result = await run(client, request);
  io.stdout.write(flags.json ? `${JSON.stringify(result, undefined, 2)}\n` : resultText(result, asked.hasTotal));
  return 0;
}

async function run(
  client: EngineClient,
  request: { readonly Steps: readonly PruneStep[]; readonly Trash: boolean },
): Promise<ResultDocument> {
  try {
    return await client.json<ResultDocument>("POST", "/slipway/prune", { json: request });
  } catch (error) {
    if (!(error instanceof ApiError && (error.status === 404 || error.status === 405))) throw error;
  }
  // Another engine: Docker's own calls, which keep nothing.
  const reports: KindReport[] = [];
  for (const step of request.Steps) {
    const report = await dockerCall(client, step).catch(nothingIfMissing);
    reports.push({ Kind: step.Kind, ...report });
  }
  return { Reports: reports, SpaceReclaimed: reports.reduce((sum, report) => sum + freedBy(report), 0) };
}

async function dockerCall(client: EngineClient, { Kind, All, Filters }: PruneStep): Promise<PruneReport> {
  const filters = filterQuery(Filters);
  const query = Kind === "builder" ? { all: All, filters } : { filters };
  return await client.json<PruneReport>("POST", `/${Kind === "builder" ? "build" : `${Kind}s`}/prune`, { query });
}

/** An engine without a kind of thing has none of it to remove. */
function nothingIfMissing(error: unknown): PruneReport {
  if (error instanceof ApiError && error.status === 501) return {};
  throw error;
}

function freedBy(report: KindReport): number {
  return linesOf(report).length === 0 ? 0 : (report.SpaceReclaimed ?? 0);
}

const HEADINGS: Readonly<Record<PruneKind, string>> = {
  container: "Deleted Containers:",
  network: "Deleted Networks:",
  volume: "Deleted Volumes:",
  image: "Deleted Images:",
  builder: "Deleted build cache objects:",
};

function resultText({ Reports, SpaceReclaimed, Trash }: ResultDocument, hasTotal: boolean): string {
  const removed = Reports.map((report) => {
    const lines = linesOf(report);
    return lines.length === 0 ? "" : `${HEADINGS[report.Kind]}\n${lines.map((line) => `${line}\n`).join("")}\n`;
  });
  const total = hasTotal ? `Total reclaimed space: ${humanSize(SpaceReclaimed, 4)}\n` : "";
  return `${removed.join("")}${Trash === undefined ? "" : trashText(Trash)}${total}`;
}

/** Docker's line stays the last. */
function trashText({ Size, Until }: NonNullable<ResultDocument["Trash"]>): string {
  const time = humanDuration(Date.parse(Until) - Date.now() + 1000);
  return [
    `In the trash for ${time}: ${humanSize(Size, 4)}`,
    "  slipway system undo           brings it back",
    "  slipway system trash empty    frees the space now\n\n",
  ].join("\n");
}

function linesOf(report: KindReport): readonly string[] {
  switch (report.Kind) {
    case "container":
      return report.ContainersDeleted ?? [];
    case "network":
      return report.NetworksDeleted ?? [];
    case "volume":
      return report.VolumesDeleted ?? [];
    case "image":
      return (report.ImagesDeleted ?? []).map((item) => imageLine(item));
    case "builder":
      return report.CachesDeleted ?? [];
  }
}

/** Docker writes these in lower case here. */
function imageLine(item: Parameters<typeof deletionLine>[0]): string {
  return deletionLine(item)
    .trimEnd()
    .replace(/^\w/, (letter) => letter.toLowerCase());
}
