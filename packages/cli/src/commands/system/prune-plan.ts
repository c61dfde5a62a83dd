import { humanSize, shortId } from "@slipway/base";
import type { EngineClient } from "../../client/engine-client.ts";
import { ApiError, ExitError } from "../../errors.ts";
import type { Io } from "../../io.ts";
import { confirm } from "../../output/confirm.ts";
import { alignColumns } from "../../output/tab-writer.ts";
import { ago, ellipsis } from "../../output/text.ts";
import type { PruneStep } from "./prune-steps.ts";

interface PlanDocument {
  readonly Items: readonly {
    readonly Kind: string;
    readonly Id: string;
    readonly Name: string;
    readonly Detail: string;
    readonly Size: number;
    readonly LastUsed?: string;
  }[];
  readonly SpaceReclaimed: number;
}

const LONGEST_DETAIL = 50;

/** Asks Docker's question, after the plan when the engine can tell it. */
export async function confirmPlan(
  client: EngineClient,
  asked: { readonly steps: readonly PruneStep[]; readonly question: string },
  io: Io,
): Promise<boolean> {
  const plan = await fetchPlan(client, asked.steps);
  if (plan === undefined) return await confirm(asked.question, io);
  // Docker's text stays whole; the plan stands before its last line, which is the question.
  const cut = asked.question.lastIndexOf("Are you sure");
  io.stdout.write(`${asked.question.slice(0, cut).trimEnd()}\n\n${planText(plan)}\n`);
  return await confirm(asked.question.slice(cut), io);
}

/** Prints what would be removed. Fails with an engine that cannot tell. */
export async function dryRun(client: EngineClient, steps: readonly PruneStep[], io: Io): Promise<number> {
  const plan = await fetchPlan(client, steps);
  if (plan === undefined) {
    throw new ExitError(
      1,
      "--dry-run: this engine cannot tell what a prune would remove",
      "Docker's own engine has no such call; 'docker system df -v' lists what is there.",
    );
  }
  io.stdout.write(planText(plan));
  return 0;
}

async function fetchPlan(client: EngineClient, steps: readonly PruneStep[]): Promise<PlanDocument | undefined> {
  try {
    return await client.json<PlanDocument>("POST", "/slipway/prune-plan", { json: { Steps: steps } });
  } catch (error) {
    // Another engine has no such path.
    if (error instanceof ApiError && (error.status === 404 || error.status === 405)) return undefined;
    throw error;
  }
}

function planText({ Items, SpaceReclaimed }: PlanDocument): string {
  if (Items.length === 0) return `Nothing would be removed.\nSpace to be reclaimed: ${humanSize(SpaceReclaimed, 4)}\n`;
  const now = Date.now();
  const rows = Items.map(({ Kind, Id, Name, Detail, Size, LastUsed }) =>
    [
      Kind === "builder" ? "build cache" : Kind,
      Kind === "image" || Kind === "container" ? shortId(Id) : "",
      Name,
      ellipsis(Detail, LONGEST_DETAIL),
      LastUsed === undefined ? "" : ago(Date.parse(LastUsed) / 1000, now),
      Kind === "network" ? "" : humanSize(Size, 3),
    ].join("\t"),
  );
  const table = alignColumns(`KIND\tID\tNAME\tWHAT\tLAST USED\tSIZE\n${rows.join("\n")}`);
  return `${table}\n\nSpace to be reclaimed: ${humanSize(SpaceReclaimed, 4)}\n`;
}
