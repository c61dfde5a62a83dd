import type { Backends } from "../backend.ts";
import { json } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { networkDocument } from "../shapes/resources.ts";

export function networkRoutes({ networks }: Backends): RouteTable {
  return {
    "GET /networks": async (call) => {
      const list = await networks.list(call.query.filters());
      return json(
        200,
        list.map((network) => networkDocument(network)),
      );
    },
    "GET /networks/{id}": async (call) => {
      const { network, containers } = await networks.inspect(call.parameter("id"));
      return json(200, networkDocument(network, containers));
    },
  };
}
