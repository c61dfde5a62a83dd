import { isError, SlipwayError } from "@slipway/base";
import type { ApiVersion } from "../api-version.ts";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Query } from "../query.ts";
import type { RouteTable } from "../router.ts";
import { containerDocument, containerSummary } from "../shapes/container.ts";
import { readCreateContainer } from "./create-container.ts";
import { present } from "./present.ts";

export function containerRoutes({ containers }: Backends): RouteTable {
  /** A handler that does one thing to the container of the path and answers 204. */
  const act = (work: (id: string, call: Call) => Promise<void>) => async (call: Call) => {
    await work(call.parameter("id"), call);
    return empty(204);
  };
  return {
    "GET /containers/json": (call) => list(call, containers),
    "POST /containers/create": (call) => create(call, containers),
    "POST /containers/prune": async (call) => {
      const { removed, freedBytes } = await containers.prune(call.query.filters());
      return json(200, { ContainersDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: freedBytes });
    },
    // Names of images come here too, when a client asks for whatever there is of a name.
    "GET /containers/{id*}/json": async (call) => {
      const item = await containers.inspect(call.parameter("id"), { size: call.query.boolean("size") });
      return json(200, containerDocument(item, call.version));
    },
    "GET /containers/{id}/top": async (call) => {
      const { titles, processes } = await containers.top(call.parameter("id"), call.query.string("ps_args") ?? "-ef");
      return json(200, { Titles: titles, Processes: processes });
    },
    "POST /containers/{id}/start": act((id) => containers.start(id)),
    "POST /containers/{id}/stop": act((id, call) => containers.stop(id, stopOptions(call.query))),
    "POST /containers/{id}/restart": act((id, call) => containers.restart(id, stopOptions(call.query))),
    "POST /containers/{id}/kill": act((id, call) => containers.kill(id, call.query.string("signal") ?? "KILL")),
    "POST /containers/{id}/pause": act((id) => containers.pause(id)),
    "POST /containers/{id}/unpause": act((id) => containers.unpause(id)),
    "POST /containers/{id}/rename": act((id, call) => containers.rename(id, newName(call.query))),
    "POST /containers/{id}/resize": async (call) => {
      await containers.resize(call.parameter("id"), terminalSize(call.query));
      return empty(200);
    },
    // Docker's client leaves the slash in the name of a link as it is.
    "DELETE /containers/{parent}/{alias}": async (call) => {
      if (!call.query.boolean("link")) throw new SlipwayError("not-found", "page not found");
      await containers.removeLink(call.parameter("parent"), call.parameter("alias"));
      return empty(204);
    },
    "DELETE /containers/{id}": act((id, call) => {
      if (call.query.boolean("link")) return removeLink(id, containers);
      return containers.remove(id, { force: call.query.boolean("force"), volumes: call.query.boolean("v") });
    }),
  };
}

/** A link is named as `docker ps` shows it: `/web/database`. */
function removeLink(path: string, containers: Backends["containers"]): Promise<void> {
  const [parent = "", alias = ""] = path.replace(/^\//, "").split("/");
  if (alias === "") throw new SlipwayError("invalid", `${path} is not a link`, { hint: "Name it as container/alias." });
  return containers.removeLink(parent, alias);
}

async function list(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const limit = call.query.integer("limit");
  const items = await containers.list({
    all: call.query.boolean("all"),
    size: call.query.boolean("size"),
    filters: call.query.filters(),
    // -1 and 0 are "no limit"; a limit shows stopped containers too.
    ...(limit !== undefined && limit > 0 && { limit }),
  });
  return json(
    200,
    items.map((item) => containerSummary(item, call.version)),
  );
}

async function create(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const request = readCreateContainer(await call.json(), {
    name: call.query.string("name"),
    platform: call.query.string("platform"),
  });
  checkNetworkCount(Object.keys(request.networks), call.version);
  const { id, warnings } = await containers.create(request).catch(asMissingImageOnly);
  return json(201, { Id: id, Warnings: warnings });
}

/** Clients of old versions connect a container to further networks afterwards. */
function checkNetworkCount(names: readonly string[], version: ApiVersion): void {
  if (version >= 44 || names.length <= 1) return;
  throw new SlipwayError("invalid", `Container cannot be connected to network endpoints: ${names.join(", ")}`);
}

/** Clients take a 404 for a missing image and try to pull it: a missing network or container must not look like one. */
function asMissingImageOnly(error: unknown): never {
  if (!isError(error, "not-found") || error.message.startsWith("No such image")) throw error;
  const { message, hint, details } = error;
  throw new SlipwayError("invalid", message, { cause: error, details, ...(hint !== undefined && { hint }) });
}

function stopOptions(query: Query): { readonly signal?: string; readonly timeout?: number } {
  return present({ signal: query.string("signal"), timeout: query.integer("t") });
}

function newName(query: Query): string {
  const name = query.string("name");
  if (name === undefined) throw new SlipwayError("invalid", "Neither old nor new names may be empty");
  return name;
}

/** `h` and `w` of a terminal. Throws `invalid`. */
export function terminalSize(query: Query): { readonly rows: number; readonly columns: number } {
  const rows = query.integer("h") ?? 0;
  const columns = query.integer("w") ?? 0;
  if (rows < 0 || rows > 0xffff || columns < 0 || columns > 0xffff) {
    throw new SlipwayError("invalid", "a terminal's height and width lie between 0 and 65535");
  }
  return { rows, columns };
}
