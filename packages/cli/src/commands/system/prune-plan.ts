import { humanSize, shortId } from "@slipway/base";
import type { EngineClient } from "../../client/engine-client.ts";
import { ApiError, ExitError } from "../../errors.ts";
import { flag } from "../../grammar/flag.ts";
import type { Io } from "../../io.ts";
import { alignColumns } from "../../output/tab-writer.ts";
import { ago, ellipsis } from "../../output/text.ts";
import type { PruneStep } from "./prune-steps.ts";

export interface PlanItem {
  readonly Kind: string;
  readonly Id: string;
  readonly Name: string;
  readonly Detail: string;
  readonly Size: number;
  readonly LastUsed?: string;
  /** Whether it can be brought back; absent of what never can. */
  readonly Trash?: boolean;
}

export interface PlanDocument {
  readonly Items: readonly PlanItem[];
  readonly SpaceReclaimed: number;
  /** Absent in an engine's answer that knows no trash. */
  readonly SpaceInTrash?: number;
}

export interface PlanRequest {
  readonly Steps: readonly PruneStep[];
  readonly Trash: boolean;
}

const LONGEST_DETAIL = 50;

/** The flags that every prune has. */
export const PRUNE_FLAGS = {
  filter: flag.filter("Only what matches (until=24h, label=name=value)"),
  force: flag.bool("Do not ask", { short: "f" }),
  "dry-run": flag.bool("Show what would be removed, and remove nothing"),
  json: flag.bool("Print what was removed as JSON; with --dry-run what would be"),
  "no-trash": flag.bool("Remove images and volumes at once: nothing for 'system undo' to bring back"),
};

/** Writes the plan before the question's last line, which is returned: Docker's text stays whole. */
export function writePlan(
  plan: PlanDocument,
  question: string,
  { stdout, wantsTrash }: { readonly stdout: Io["stdout"]; readonly wantsTrash: boolean },
): string {
  const cut = question.lastIndexOf("Are you sure");
  stdout.write(`${question.slice(0, cut).trimEnd()}\n\n${planText(plan, wantsTrash)}\n`);
  return question.slice(cut);
}

/** Prints what would be removed. Fails with an engine that cannot tell. */
export async function printPlan(
  client: EngineClient,
  request: PlanRequest,
  { io, json }: { readonly io: Io; readonly json: boolean },
): Promise<number> {
  const plan = await fetchPlan(client, request);
  if (plan === undefined) {
    throw new ExitError(
      1,
      "--dry-run: this engine cannot tell what a prune would remove",
      "Docker's own engine has no such call; 'docker system df -v' lists what is there.",
    );
  }
  io.stdout.write(json ? `${JSON.stringify(plan, undefined, 2)}\n` : planText(plan, request.Trash));
  return 0;
}

/** Undefined when the engine cannot tell. */
export async function fetchPlan(client: EngineClient, request: PlanRequest): Promise<PlanDocument | undefined> {
  try {
    return await client.json<PlanDocument>("POST", "/slipway/prune-plan", { json: request });
  } catch (error) {
    // Another engine has no such path.
    if (error instanceof ApiError && (error.status === 404 || error.status === 405)) return undefined;
    throw error;
  }
}

function planText({ Items, SpaceReclaimed, SpaceInTrash = 0 }: PlanDocument, wantsTrash: boolean): string {
  const space = `Space to be reclaimed: ${humanSize(SpaceReclaimed, 4)}\n`;
  if (Items.length === 0) return `Nothing would be removed.\n${space}`;
  const now = Date.now();
  const tellsTrash = Items.some(({ Trash }) => Trash !== undefined);
  const rows = Items.map(({ Kind, Id, Name, Detail, Size, LastUsed, Trash }) =>
    [
      Kind === "builder" ? "build cache" : Kind,
      Kind === "image" || Kind === "container" ? shortId(Id) : "",
      Name,
      ellipsis(Detail, LONGEST_DETAIL),
      LastUsed === undefined ? "" : ago(Date.parse(LastUsed) / 1000, now),
      Kind === "network" ? "" : humanSize(Size, 3),
      ...(tellsTrash ? [Trash === true ? "to the trash" : Trash === false ? "at once: too large" : "at once"] : []),
    ].join("\t"),
  );
  const heading = `KIND\tID\tNAME\tWHAT\tLAST USED\tSIZE${tellsTrash ? "\tGOES" : ""}`;
  const table = alignColumns(`${heading}\n${rows.join("\n")}`);
  const kept = Items.some(({ Trash }) => Trash === true)
    ? `Space that the trash keeps for a time: ${humanSize(SpaceInTrash, 4)}\n`
    : "";
  const isKeepable = Items.some(({ Kind }) => Kind === "image" || Kind === "volume");
  const off =
    wantsTrash && isKeepable && !tellsTrash ? "The trash keeps nothing now: it is off, or the disk is full.\n" : "";
  return `${table}\n\n${space}${kept}${off}`;
}
