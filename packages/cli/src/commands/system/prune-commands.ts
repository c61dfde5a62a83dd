import { ExitError } from "../../errors.ts";
import { type Command, command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { withConfigured } from "./prune-filters.ts";
import { PRUNE_FLAGS } from "./prune-plan.ts";
import { prune } from "./prune-run.ts";
import { type PruneKind, stepOf } from "./prune-steps.ts";

const SURE = "Are you sure you want to continue?";

const WARNINGS: Readonly<Record<PruneKind, (all: boolean) => string>> = {
  container: () => `WARNING! This will remove all stopped containers.\n${SURE}`,
  network: () => `WARNING! This will remove all custom networks not used by at least one container.\n${SURE}`,
  volume: (all) =>
    `WARNING! This will remove ${all ? "all" : "anonymous"} local volumes not used by at least one container.\n${SURE}`,
  image: (all) =>
    `WARNING! This will remove all ${all ? "images without at least one container associated to them" : "dangling images"}.\n${SURE}`,
  builder: (all) => `WARNING! This will remove all ${all ? "" : "dangling "}build cache. ${SURE}`,
};

/** `container prune` and its kin. */
export function pruneCommand(kind: PruneKind): Command {
  const hasAll = kind === "image" || kind === "volume" || kind === "builder";
  return command({
    usage: kind === "builder" ? "" : "[OPTIONS]",
    args: NO_ARGUMENTS,
    flags: {
      ...PRUNE_FLAGS,
      ...(hasAll ? { all: flag.bool(allHelp(kind), { short: "a" }) } : {}),
      ...(kind === "builder" ? { "keep-storage": flag.bytes("Keep this much of the cache", { hidden: true }) } : {}),
    },
    examples: [
      [`slipway ${kind} prune --dry-run`, "See what would be removed"],
      [`slipway ${kind} prune -f --filter until=24h`, "Only what is older than a day, without a question"],
    ],
    async run({ flags, session }) {
      if ("keep-storage" in flags && flags["keep-storage"] !== 0) {
        throw new ExitError(
          1,
          "--keep-storage: keeping a part by size is not built yet",
          "Narrow it with --filter until=24h.",
        );
      }
      const all = "all" in flags && flags.all === true;
      const filters = withConfigured(flags.filter, (await session.config()).pruneFilters);
      const steps = [stepOf(kind, { all, filters })];
      const asked = { steps, question: WARNINGS[kind](all), hasTotal: kind !== "network" };
      return await prune(await session.client(), asked, flags, session.io);
    },
  });
}

function allHelp(kind: PruneKind): string {
  if (kind === "image") return "Remove all images that no container uses, not only those without a name";
  return kind === "volume" ? "Remove volumes with a name too" : "Remove all of the cache, not only what nothing needs";
}
