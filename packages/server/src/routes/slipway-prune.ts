import { type JsonReader, SlipwayError } from "@slipway/base";
import type { Backends, PrunedItem, PruneResult, PruneStep } from "../backend.ts";
import { json } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { removedDocument } from "../shapes/removed-image.ts";
import { timestamp } from "../shapes/time.ts";
import { present } from "./present.ts";

const KINDS = ["container", "network", "volume", "image", "builder"] as const;

/**
 * Prune calls together, and what they would remove before they are made: `{"Steps": [{"Kind", "Filters", "All"}], "Trash"}`.
 * With `Trash` images and volumes can be brought back for a time.
 */
export function slipwayPruneRoutes({ prunes }: Backends): RouteTable {
  return {
    "POST /slipway/prune-plan": async (call) => {
      const { steps, options } = readRequest(await call.json());
      const { items, freedBytes, trashBytes } = await prunes.plan(steps, options);
      return json(200, { Items: items.map(itemDocument), SpaceReclaimed: freedBytes, SpaceInTrash: trashBytes });
    },
    "POST /slipway/prune": async (call) => {
      const { steps, options } = readRequest(await call.json());
      const { items, reports, freedBytes, trash } = await prunes.run(steps, options);
      const kept = trash && { Id: trash.prune, Size: trash.bytes, Until: timestamp(trash.until) };
      return json(200, {
        Items: items.map(itemDocument),
        Reports: reports.map(reportDocument),
        SpaceReclaimed: freedBytes,
        ...present({ Trash: kept }),
      });
    },
  };
}

function itemDocument({ kind, id, name, detail, bytes, lastUsed, trash }: PrunedItem): Record<string, unknown> {
  return {
    ...{ Kind: kind, Id: id, Name: name, Detail: detail, Size: bytes },
    ...present({ LastUsed: lastUsed === undefined ? undefined : timestamp(lastUsed), Trash: trash }),
  };
}

/** As Docker's call of the kind answers. */
function reportDocument({ kind, removed, freedBytes }: PruneResult["reports"][number]): Record<string, unknown> {
  const list = removed.map((each) => (typeof each === "string" ? each : removedDocument(each)));
  return { Kind: kind, [REMOVED[kind]]: list.length === 0 ? null : list, SpaceReclaimed: freedBytes };
}

const REMOVED = {
  container: "ContainersDeleted",
  network: "NetworksDeleted",
  volume: "VolumesDeleted",
  image: "ImagesDeleted",
  builder: "CachesDeleted",
} as const;

function readRequest(body: JsonReader): {
  readonly steps: PruneStep[];
  readonly options: { readonly trash: boolean };
} {
  const trash = body.field("Trash").optionalBoolean() ?? false;
  return { steps: body.field("Steps").array().map(readStep), options: { trash } };
}

/** `Filters` as the prune calls take them: names with lists of values. */
function readStep(step: JsonReader): PruneStep {
  const word = step.field("Kind").string();
  const kind = KINDS.find((each) => each === word);
  if (kind === undefined)
    throw new SlipwayError("invalid", `Kind: '${word.slice(0, 100)}' is none of ${KINDS.join(", ")}`);
  const given = step.field("Filters").optional();
  const filters = Object.fromEntries((given?.keys() ?? []).map((name) => [name, given?.field(name).strings() ?? []]));
  return kind === "builder" ? { kind, all: step.field("All").optionalBoolean() ?? false, filters } : { kind, filters };
}
