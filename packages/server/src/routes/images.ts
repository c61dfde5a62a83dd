import { SlipwayError } from "@slipway/base";
import type { Backends, Image } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { historyDocument, imageDocument, imageSummary, manifestDocument } from "../shapes/image.ts";
import { removedDocument } from "../shapes/removed-image.ts";
import { readPlatforms, requirePlatform } from "./image-platform.ts";

export function imageRoutes({ images }: Backends): RouteTable {
  return {
    "GET /images/json": (call) => list(call, images),
    "GET /images/{name*}/json": (call) => inspect(call, images),
    "GET /images/{name*}/history": async (call) => {
      const name = call.parameter("name");
      const platforms = call.version < 48 ? [] : readPlatforms(call.query);
      if (platforms.length > 0) requirePlatform(await images.inspect(name), name, platforms);
      return json(200, (await images.history(name)).map(historyDocument));
    },
    "GET /images/{name*}/attestations": (call) => attestations(call, images),
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
      const name = call.parameter("name");
      const platforms = call.version < 50 ? [] : readPlatforms(query, "platforms");
      if (platforms.length > 0) requirePlatform(await images.inspect(name), name, platforms);
      const options = { force: query.boolean("force"), noPrune: query.boolean("noprune") };
      return json(200, (await images.remove(name, options)).map(removedDocument));
    },
  };
}

async function list(call: Call, images: Backends["images"]): Promise<Reply> {
  // `filter` is what clients from before 1.28 send for a reference.
  const { query, version } = call;
  const reference = version < 41 ? query.string("filter") : undefined;
  const filters = query.filters();
  const entries = await images.list({
    all: query.boolean("all"),
    sharedSize: version >= 42 && query.boolean("shared-size"),
    filters: reference === undefined ? filters : { ...filters, reference: [reference] },
  });
  const listed = (version >= 47 && query.boolean("manifests")) || (version >= 54 && query.boolean("identity"));
  const manifests = ({ image }: { readonly image: Image }) =>
    listed ? { manifests: [manifestDocument(image, images.users(image.id))] } : {};
  return json(
    200,
    entries.map((entry) => imageSummary(entry, version, manifests(entry))),
  );
}

async function inspect(call: Call, images: Backends["images"]): Promise<Reply> {
  const { query, version } = call;
  const name = call.parameter("name");
  const manifests = version >= 48 && query.boolean("manifests");
  const platforms = version < 49 ? [] : readPlatforms(query);
  if (manifests && platforms.length > 0) {
    throw new SlipwayError("invalid", "conflicting options: manifests and platform options cannot both be set");
  }
  const image = await images.inspect(name);
  requirePlatform(image, name, platforms);
  const documents = manifests ? [manifestDocument(image, images.users(image.id))] : undefined;
  return json(200, imageDocument(image, shownVersion(call), documents));
}

/** The last version whose images tell of a container's config. */
const LAST_WITH_CONTAINER = 44;

/** Compose 1 speaks the newest version it is offered and yet reads that config: recreating a service needs it. */
function shownVersion(call: Call): Call["version"] {
  const isOldCompose = call.header("user-agent")?.startsWith("docker-compose/1.") === true;
  return isOldCompose ? Math.min(call.version, LAST_WITH_CONTAINER) : call.version;
}

/** Statements stay with the index that an image was pulled by; what is stored here is the image of one platform alone. */
async function attestations(call: Call, images: Backends["images"]): Promise<Reply> {
  const name = call.parameter("name");
  const platforms = readPlatforms(call.query);
  if (platforms.length > 1) throw new SlipwayError("invalid", "only one platform can be asked for");
  requirePlatform(await images.inspect(name), name, platforms);
  return json(200, []);
}

async function tag(call: Call, images: Backends["images"]): Promise<Reply> {
  const repository = call.query.string("repo");
  if (repository === undefined) throw new SlipwayError("invalid", "repo is required: name the repository to tag into");
  await images.tag(call.parameter("name"), repository, call.query.string("tag"));
  return empty(201);
}
