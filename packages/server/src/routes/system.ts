import { SlipwayError } from "@slipway/base";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply, stream, text } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { containerSummary } from "../shapes/container.ts";
import { imageSummary } from "../shapes/image.ts";
import { volumeDocument } from "../shapes/resources.ts";
import { cacheDocument, eventLine, infoDocument, versionDocument } from "../shapes/system.ts";

/** `Builder-Version: 1` makes clients send a tar to `POST /build`; 2 would promise BuildKit's gRPC API. */
const PING_HEADERS = {
  "Builder-Version": "1",
  Swarm: "inactive",
  "Cache-Control": "no-cache, no-store, must-revalidate",
  Pragma: "no-cache",
};

export function systemRoutes({ system }: Backends): RouteTable {
  return {
    "GET /_ping": () => text(200, "OK", PING_HEADERS),
    "HEAD /_ping": () => empty(200, { "Content-Type": "text/plain; charset=utf-8", ...PING_HEADERS }),
    "GET /version": async () => json(200, versionDocument(system.version(), await system.info())),
    "GET /info": async (call) => json(200, infoDocument(await system.info(), system.version(), call.version)),
    "GET /system/df": (call) => diskUsage(call, system),
    "GET /events": (call) => events(call, system),
    "POST /auth": authenticate,
  };
}

async function diskUsage(call: Call, system: Backends["system"]): Promise<Reply> {
  const types = new Set(call.query.strings("type"));
  const known = ["container", "image", "volume", "build-cache"];
  for (const type of types) {
    if (!known.includes(type)) throw new SlipwayError("invalid", `unknown object type: ${type}`);
  }
  const wants = (type: string) => types.size === 0 || types.has(type);
  const usage = await system.diskUsage();
  return json(200, {
    LayersSize: wants("image") ? usage.layersBytes : 0,
    Images: wants("image") ? usage.images.map((image) => imageSummary(image, call.version)) : null,
    Containers: wants("container") ? usage.containers.map((item) => containerSummary(item, call.version)) : null,
    Volumes: wants("volume")
      ? usage.volumes.map(({ volume, bytes, references }) => ({
          ...volumeDocument(volume),
          UsageData: { RefCount: references, Size: bytes },
        }))
      : null,
    BuildCache: wants("build-cache") ? usage.cache.map(cacheDocument) : null,
  });
}

function events(call: Call, system: Backends["system"]): Reply {
  const since = call.query.time("since");
  const until = call.query.time("until");
  const filters = call.query.filters();
  // Asked before the head is sent: an unknown filter is still an HTTP error then.
  const events = system.events({
    filters,
    signal: call.signal,
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  });
  return stream("application/json", async (body) => {
    for await (const event of events) await body.write(eventLine(event));
  });
}

/** `docker login`: the check of credentials belongs to the registry client, which the engine does not have yet. */
async function authenticate(call: Call): Promise<Reply> {
  const server = (await call.json()).field("serveraddress").optionalString() || "docker.io";
  throw new SlipwayError("not-implemented", `cannot log in to ${server}: registries are not supported yet`, {
    hint: "Images can be brought in with 'load' and 'import', and built.",
  });
}
