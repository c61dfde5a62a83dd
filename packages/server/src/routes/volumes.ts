import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { volumeDocument } from "../shapes/resources.ts";
import { present } from "./present.ts";

export function volumeRoutes({ volumes }: Backends): RouteTable {
  return {
    "GET /volumes": async (call) => {
      const list = await volumes.list(call.query.filters());
      return json(200, { Volumes: list.map(volumeDocument), Warnings: null });
    },
    "POST /volumes/create": (call) => create(call, volumes),
    "POST /volumes/prune": async (call) => {
      const filters = call.query.filters();
      // Before 1.42 named volumes went too.
      const { removed, freedBytes } = await volumes.prune(call.version < 42 ? { all: ["true"], ...filters } : filters);
      return json(200, { VolumesDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: freedBytes });
    },
    "GET /volumes/{name}": async (call) => json(200, volumeDocument(await volumes.inspect(call.parameter("name")))),
    "DELETE /volumes/{name}": async (call) => {
      await volumes.remove(call.parameter("name"), call.query.boolean("force"));
      return empty(204);
    },
  };
}

async function create(call: Call, volumes: Backends["volumes"]): Promise<Reply> {
  const body = await call.json();
  const volume = await volumes.create({
    labels: body.field("Labels").stringMap(),
    options: body.field("DriverOpts").stringMap(),
    ...present({
      name: body.field("Name").optionalString() || undefined,
      driver: body.field("Driver").optionalString() || undefined,
    }),
  });
  return json(201, volumeDocument(volume));
}
