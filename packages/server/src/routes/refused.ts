import { SlipwayError } from "@slipway/base";
import { parseReference } from "@slipway/oci";
import { json } from "../http/reply.ts";
import type { Handler, RouteTable } from "../router.ts";

const NOT_PART = "This node is not part of a swarm";
export const NOT_A_MANAGER =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

/** Routes of the Engine API that have a fixed answer: what Slipway will never do, and what it does not do yet. */
export function refusedRoutes(): RouteTable {
  return { ...swarmRoutes(), ...pluginRoutes(), ...missingRoutes() };
}

function swarmRoutes(): RouteTable {
  const refuseWith =
    (message: string): Handler =>
    () => {
      throw new SlipwayError("unavailable", message);
    };
  const refuse = refuseWith(NOT_A_MANAGER);
  const routes: Record<string, Handler> = {};
  for (const path of ["/swarm", "/swarm/unlockkey"]) routes[`GET ${path}`] = refuse;
  for (const verb of ["init", "join", "update", "unlock"]) routes[`POST /swarm/${verb}`] = refuse;
  routes["POST /swarm/leave"] = refuseWith(NOT_PART);
  // Only cluster volumes can be changed, and these need a swarm.
  routes["PUT /volumes/{name}"] = refuse;
  for (const kind of ["nodes", "services", "tasks", "secrets", "configs"]) {
    for (const method of ["GET", "POST", "DELETE"]) {
      routes[`${method} /${kind}`] = refuse;
      routes[`${method} /${kind}/{rest*}`] = refuse;
    }
  }
  return routes;
}

const PLUGIN_FILTERS = ["capability", "enabled"];

function pluginRoutes(): RouteTable {
  const none: Handler = (call) => {
    const name = call.parameter("rest").replace(/\/(json|enable|disable|push|set|upgrade)$/, "");
    throw new SlipwayError("not-found", `plugin "${name}" not found`);
  };
  const refuse: Handler = () => {
    throw new SlipwayError("not-implemented", "plug-ins are not supported");
  };
  return {
    "GET /plugins": ({ query }) => {
      for (const name of Object.keys(query.filters())) {
        if (!PLUGIN_FILTERS.includes(name)) throw new SlipwayError("invalid", `invalid filter '${name}'`);
      }
      return json(200, []);
    },
    // None are known; Docker without a way to the registry answers so too. The pull that follows is what is refused.
    "GET /plugins/privileges": ({ query }) => {
      parseReference(query.string("remote") ?? "");
      return json(200, []);
    },
    "POST /plugins/pull": refuse,
    "POST /plugins/create": refuse,
    "GET /plugins/{rest*}": none,
    "POST /plugins/{rest*}": none,
    "DELETE /plugins/{rest*}": none,
  };
}

/** Answered with 501 rather than 404, so that a client shows why and not "page not found". */
function missingRoutes(): RouteTable {
  const missing =
    (what: string): Handler =>
    () => {
      throw new SlipwayError("not-implemented", `not supported yet: ${what}`);
    };
  return {
    "GET /containers/{id}/checkpoints": missing("checkpointing"),
    "POST /containers/{id}/checkpoints": missing("checkpointing"),
    "DELETE /containers/{id}/checkpoints/{checkpoint}": missing("checkpointing"),
    "POST /images/{name*}/push": missing("pushing to a registry"),
    "POST /session": missing("BuildKit's session API"),
    "POST /grpc": missing("BuildKit's gRPC API"),
  };
}
