import { ExitError } from "../../errors.ts";
import { command, NO_ARGUMENTS } from "../../grammar/command.ts";
import { flag } from "../../grammar/flag.ts";
import { withConfigured } from "./prune-filters.ts";
import { PRUNE_FLAGS } from "./prune-plan.ts";
import { prune as pruneAll } from "./prune-run.ts";
import { type PruneKind, stepOf } from "./prune-steps.ts";

export const prune = command({
  usage: "[OPTIONS]",
  args: NO_ARGUMENTS,
  flags: {
    ...PRUNE_FLAGS,
    all: flag.bool("Remove all images that no container uses, not only those without a name", { short: "a" }),
    volumes: flag.bool("Remove anonymous volumes too"),
  },
  examples: [
    ["slipway system prune --dry-run", "What would go, with sizes and last use"],
    [
      "slipway system prune -af --volumes",
      "Everything that nothing uses; images and volumes stay in the trash for a day",
    ],
    ["slipway system undo", "Bring back what the last prune put into the trash"],
  ],
  async run({ flags, session }) {
    if (flags.volumes && flags.filter.until !== undefined) {
      throw new ExitError(1, 'ERROR: The "until" filter is not supported with "--volumes"');
    }
    const filters = withConfigured(flags.filter, (await session.config()).pruneFilters);
    const kinds: PruneKind[] = [
      "container",
      "network",
      ...(flags.volumes ? (["volume"] as const) : []),
      "image",
      "builder",
    ];
    // With --all volumes that have a name stay.
    const steps = kinds.map((kind) => stepOf(kind, { all: flags.all && kind !== "volume", filters }));
    const asked = { steps, question: question({ ...flags, filter: filters }), hasTotal: true };
    return await pruneAll(await session.client(), asked, flags, session.io);
  },
});

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
