import type { Backends, TrashItem } from "../backend.ts";
import type { Call } from "../call.ts";
import { errorDocument } from "../error-reply.ts";
import { json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { timestamp } from "../shapes/time.ts";

/** What prunes took and can bring back. */
export function slipwayTrashRoutes({ trash }: Backends): RouteTable {
  const empty = async (id?: string): Promise<Reply> => {
    const { removed, freedBytes } = await trash.empty(id);
    return json(200, { Items: removed.map(itemDocument), SpaceReclaimed: freedBytes });
  };
  return {
    "GET /slipway/trash": async () => {
      const { items, bytes, maxBytes } = trash.contents();
      return json(200, { Items: items.map(itemDocument), Size: bytes, MaxSize: maxBytes });
    },
    "POST /slipway/trash/restore": (call) => restore(call, trash),
    "POST /slipway/trash/{id}/restore": (call) => restore(call, trash, call.parameter("id")),
    "DELETE /slipway/trash": () => empty(),
    "DELETE /slipway/trash/{id}": (call) => empty(call.parameter("id")),
  };
}

/** The last prune, or the prune or thing of the ID; `as` names a volume anew. */
async function restore(call: Call, trash: Backends["trash"], id?: string): Promise<Reply> {
  const as = call.query.string("as");
  const { prune, restored, failed } = await trash.undo(id, as === undefined ? {} : { as });
  return json(200, {
    Prune: prune,
    Restored: restored.map((each) => ({ Kind: each.kind, Id: each.id, Names: each.names, NamesTaken: each.taken })),
    Failed: failed.map(({ item, error }) => ({ ...itemDocument(item), Error: errorDocument(error) })),
  });
}

function itemDocument(item: TrashItem): Record<string, unknown> {
  return {
    ...{ Id: item.id, Prune: item.prune, Kind: item.kind, Target: item.target, Names: item.names, Size: item.bytes },
    ...{ PrunedAt: timestamp(item.prunedAt), Until: timestamp(item.until) },
  };
}
