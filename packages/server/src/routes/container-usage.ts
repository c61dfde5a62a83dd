import { type JsonReader, SlipwayError } from "@slipway/base";
import type { ApiVersion } from "../api-version.ts";
import type { Backends, ContainerLimits, StatsSample } from "../backend.ts";
import type { Call } from "../call.ts";
import { json, type Reply, stream } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { statsDocument } from "../shapes/stats.ts";
import { readHostConfig } from "./read-host-config.ts";

/** What containers use, and what they may. */
export function containerUsageRoutes({ containers }: Backends): RouteTable {
  return {
    "GET /containers/{id}/stats": (call) => stats(call, containers),
    "POST /containers/{id}/update": async (call) => {
      const { warnings } = await containers.update(call.parameter("id"), readLimits(await call.json()));
      return json(200, { Warnings: warnings.length === 0 ? null : warnings });
    },
  };
}

async function stats(call: Call, containers: Backends["containers"]): Promise<Reply> {
  const streams = call.query.boolean("stream", true);
  const oneShot = call.query.boolean("one-shot");
  if (streams && oneShot) throw new SlipwayError("invalid", "cannot have stream=true and one-shot=true");
  const samples = await containers.stats(call.parameter("id"), { signal: call.signal });
  if (!streams) return json(200, await single(samples, oneShot, call.version));
  return stream("application/json", async (body) => {
    let before: StatsSample | undefined;
    for await (const sample of samples) {
      await body.write(`${JSON.stringify(statsDocument(sample, before, call.version))}\n`);
      before = sample;
    }
  });
}

/** The use of the CPU is a difference: without `oneShot` the answer is a second later, and can tell it. */
async function single(
  samples: AsyncIterable<StatsSample>,
  oneShot: boolean,
  version: ApiVersion,
): Promise<Record<string, unknown>> {
  let before: StatsSample | undefined;
  for await (const sample of samples) {
    if (oneShot || before !== undefined || sample.usage === undefined) return statsDocument(sample, before, version);
    before = sample;
  }
  if (before === undefined) throw new SlipwayError("not-found", "the container was removed meanwhile");
  return statsDocument(before, undefined, version);
}

/** Throws `invalid` that names the field, `not-implemented` for a limit that the engine has nothing for. */
function readLimits(reader: JsonReader): ContainerLimits {
  const given = readHostConfig(reader);
  // Here 0 is a value: it takes the limit away.
  const pids = reader.field("PidsLimit").optionalNumber();
  if (pids !== undefined && !Number.isSafeInteger(pids)) {
    throw new SlipwayError("invalid", "request body: PidsLimit: expected an integer");
  }
  const { RestartPolicy: _, PidsLimit: __, ...amounts } = given;
  const policy = reader.field("RestartPolicy").field("Name").optionalString();
  return {
    ...amounts,
    ...(pids !== undefined && { PidsLimit: pids }),
    ...(policy && given.RestartPolicy && { RestartPolicy: given.RestartPolicy }),
  };
}
