import { SlipwayError } from "@slipway/base";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, json, type Reply, stream, text } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { type UsageKind, usageDocument } from "../shapes/disk-usage.ts";
import { eventLine, infoDocument, versionDocument } from "../shapes/system.ts";

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
  };
}

const USAGE_KINDS: readonly UsageKind[] = ["container", "image", "volume", "build-cache"];

async function diskUsage(call: Call, system: Backends["system"]): Promise<Reply> {
  const { query, version } = call;
  // `type` came with 1.42; older daemons did not look at it.
  const types = new Set(version < 42 ? [] : query.strings("type"));
  for (const type of types) {
    if (!USAGE_KINDS.some((kind) => kind === type)) {
      throw new SlipwayError("invalid", `unknown object type: ${type.slice(0, 100)}`);
    }
  }
  const wants = (kind: UsageKind) => types.size === 0 || types.has(kind);
  const usage = await system.diskUsage();
  return json(200, usageDocument(usage, { version, wants, verbose: query.boolean("verbose") }));
}

/** The media types that a client may choose from since 1.52; before, and without a choice, lines of JSON are called JSON. */
const EVENT_TYPES = ["application/jsonl", "application/x-ndjson", "application/json-seq"];

function events(call: Call, system: Backends["system"]): Reply {
  const since = call.query.time("since");
  const until = call.query.time("until");
  if (since !== undefined && until !== undefined && until < since) {
    const [from, to] = [call.query.string("since"), call.query.string("until")];
    throw new SlipwayError("invalid", `\`since\` time (${from}) cannot be after \`until\` time (${to})`);
  }
  const filters = call.query.filters();
  // Asked before the head is sent: an unknown filter is still an HTTP error then.
  const events = system.events({
    filters,
    signal: call.signal,
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  });
  const accepted = call.version < 52 ? [] : (call.header("accept") ?? "").split(/[,;]/).map((type) => type.trim());
  const type = EVENT_TYPES.find((candidate) => accepted.includes(candidate)) ?? "application/json";
  // RFC 7464: each text begins with a record separator.
  const mark = type === "application/json-seq" ? "\x1e" : "";
  return stream(type, async (body) => {
    for await (const event of events) await body.write(mark + eventLine(event, call.version));
  });
}
