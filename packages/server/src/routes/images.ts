import { SlipwayError } from "@slipway/base";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { historyDocument, imageDocument, imageSummary } from "../shapes/image.ts";
import { present } from "./present.ts";

type Removed = { readonly untagged?: string; readonly deleted?: string };

export function imageRoutes({ images }: Backends): RouteTable {
  return {
    "GET /images/json": (call) => list(call, images),
    "GET /images/{name*}/json": async (call) =>
      json(200, imageDocument(await images.inspect(call.parameter("name")), call.version)),
    "GET /images/{name*}/history": async (call) =>
      json(200, (await images.history(call.parameter("name"))).map(historyDocument)),
    "POST /images/{name*}/tag": (call) => tag(call, images),
    "POST /images/prune": async (call) => {
      const { removed, freedBytes } = await images.prune(call.query.filters());
      return json(200, {
        ImagesDeleted: removed.length === 0 ? null : removed.map(removedDocument),
        SpaceReclaimed: freedBytes,
      });
    },
    "DELETE /images/{name*}": async (call) => {
      const { query } = call;
      const options = { force: query.boolean("force"), noPrune: query.boolean("noprune") };
      return json(200, (await images.remove(call.parameter("name"), options)).map(removedDocument));
    },
  };
}

async function list(call: Call, images: Backends["images"]): Promise<Reply> {
  // `filter` is what clients from before 1.28 send for a reference.
  const reference = call.version < 41 ? call.query.string("filter") : undefined;
  const filters = call.query.filters();
  const entries = await images.list({
    all: call.query.boolean("all"),
    filters: reference === undefined ? filters : { ...filters, reference: [reference] },
  });
  return json(
    200,
    entries.map((entry) => imageSummary(entry, call.version)),
  );
}

async function tag(call: Call, images: Backends["images"]): Promise<Reply> {
  const repository = call.query.string("repo");
  if (repository === undefined) throw new SlipwayError("invalid", "repo is required: name the repository to tag into");
  await images.tag(call.parameter("name"), repository, call.query.string("tag"));
  return empty(201);
}

function removedDocument({ untagged, deleted }: Removed): Record<string, unknown> {
  return present({ Untagged: untagged, Deleted: deleted });
}
