import { type JsonReader, SlipwayError } from "@slipway/base";
import type { Backends, PruneStep } from "../backend.ts";
import { json } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { timestamp } from "../shapes/time.ts";
import { present } from "./present.ts";

const KINDS = ["container", "network", "volume", "image", "builder"] as const;

/** What prune calls would remove, before they are made: `{"Steps": [{"Kind", "Filters", "All"}]}`. */
export function slipwayPruneRoutes({ prunes }: Backends): RouteTable {
  return {
    "POST /slipway/prune-plan": async (call) => {
      const body = await call.json();
      const plan = await prunes.plan(body.field("Steps").array().map(readStep));
      return json(200, {
        Items: plan.items.map(({ kind, id, name, detail, bytes, lastUsed }) => ({
          ...{ Kind: kind, Id: id, Name: name, Detail: detail, Size: bytes },
          ...present({ LastUsed: lastUsed === undefined ? undefined : timestamp(lastUsed) }),
        })),
        SpaceReclaimed: plan.freedBytes,
      });
    },
  };
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
