import { SlipwayError } from "@slipway/base";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { networkDocument } from "../shapes/network.ts";
import { readCreateNetwork } from "./create-network.ts";
import { readEndpoint } from "./read-endpoint.ts";

export function networkRoutes({ networks }: Backends): RouteTable {
  const list = async (call: Call): Promise<Reply> => {
    const found = await networks.list(call.query.filters());
    return json(
      200,
      found.map((network) => networkDocument(network, call.version)),
    );
  };
  return {
    "GET /networks": list,
    "GET /networks/{id}": (call) => inspect(call, networks),
    "POST /networks/create": async (call) => {
      const { id } = await networks.create(readCreateNetwork(await call.json()));
      return json(201, { Id: id, Warning: "" });
    },
    "POST /networks/prune": async (call) => {
      const { removed } = await networks.prune(call.query.filters());
      return json(200, { NetworksDeleted: removed.length === 0 ? null : removed });
    },
    "DELETE /networks/{id}": async (call) => {
      await networks.remove(call.parameter("id"));
      return empty(204);
    },
    "POST /networks/{id}/connect": async (call) => {
      const body = await call.json();
      const container = containerOf(body.field("Container").optionalString());
      await networks.connect(call.parameter("id"), container, readEndpoint(body.field("EndpointConfig")));
      return empty(200);
    },
    "POST /networks/{id}/disconnect": async (call) => {
      const body = await call.json();
      // Nothing of ours outlives its container, so there is nothing that only force could take away.
      body.field("Force").optionalBoolean();
      await networks.disconnect(call.parameter("id"), containerOf(body.field("Container").optionalString()));
      return empty(200);
    },
  };
}

function containerOf(name: string | undefined): string {
  if (!name) throw new SlipwayError("invalid", "invalid container: a name or ID is missing in the request body");
  return name;
}

/** `verbose` adds what only a swarm has; in another scope than `local` there is nothing. */
async function inspect(call: Call, networks: Backends["networks"]): Promise<Reply> {
  const id = call.parameter("id");
  const scope = call.query.string("scope");
  if (scope !== undefined && scope !== "local") throw new SlipwayError("not-found", `network ${id} not found`);
  const { network, containers } = await networks.inspect(id);
  return json(200, networkDocument(network, call.version, containers));
}
