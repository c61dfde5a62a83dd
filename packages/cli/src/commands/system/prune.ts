import { humanSize } from "@slipway/base";
import { ApiError, ExitError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { withConfigured } from "./prune-filters.ts";
import { confirmPlan, dryRun } from "./prune-plan.ts";
import { type PruneKind, type PruneOutcome, pruneKind, stepOf } from "./prune-steps.ts";

export const prune = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    all: flag.bool("Remove all images that no container uses, not only those without a name", { short: "a" }),
    filter: flag.filter("Only what matches (until=24h, label=name=value)"),
    force: flag.bool("Do not ask", { short: "f" }),
    "dry-run": flag.bool("Show what would be removed, and remove nothing"),
    volumes: flag.bool("Remove anonymous volumes too"),
  },
  async run({ flags, session }) {
    if (flags.volumes && flags.filter.until !== undefined) {
      throw new ExitError(1, 'ERROR: The "until" filter is not supported with "--volumes"');
    }
    const { stdout } = session.io;
    const filters = withConfigured(flags.filter, (await session.config()).pruneFilters);
    const client = await session.client();
    const kinds: PruneKind[] = [
      "container",
      "network",
      ...(flags.volumes ? (["volume"] as const) : []),
      "image",
      "builder",
    ];
    // With --all volumes that have a name stay.
    const optionsOf = (kind: PruneKind) => ({ all: flags.all && kind !== "volume", filters });
    const steps = kinds.map((kind) => stepOf(kind, optionsOf(kind)));
    if (flags["dry-run"]) return await dryRun(client, steps, session.io);
    if (
      !flags.force &&
      !(await confirmPlan(client, { steps, question: question({ ...flags, filter: filters }) }, session.io))
    )
      return 0;
    let freed = 0;
    for (const kind of kinds) {
      const outcome = await pruneKind(client, kind, optionsOf(kind)).catch(nothingIfMissing);
      freed += outcome.freed;
      if (outcome.text !== "") stdout.write(`${outcome.text}\n`);
    }
    stdout.write(`Total reclaimed space: ${humanSize(freed, 4)}\n`);
    return 0;
  },
});

/** An engine without a kind of thing has none of it to remove. */
function nothingIfMissing(error: unknown): PruneOutcome {
  if (error instanceof ApiError && error.status === 501) return { text: "", freed: 0 };
  throw error;
}

function question(flags: {
  all: boolean;
  volumes: boolean;
  filter: Readonly<Record<string, readonly string[]>>;
}): string {
  const removed = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(flags.volumes ? ["all anonymous volumes not used by at least one container"] : []),
    flags.all ? "all images without at least one container associated to them" : "all dangling images",
    flags.all ? "all build cache" : "unused build cache",
  ];
  const filters = ["label", "label!", "until"].flatMap((name) =>
    (flags.filter[name] ?? []).map((value) => `${name}=${value}`),
  );
  const filtered =
    filters.length === 0
      ? ""
      : `\n  Items to be pruned will be filtered with:${filters.map((text) => `\n  - ${text}`).join("")}\n`;
  return `WARNING! This will remove:${removed.map((text) => `\n  - ${text}`).join("")}\n${filtered}\nAre you sure you want to continue?`;
}
