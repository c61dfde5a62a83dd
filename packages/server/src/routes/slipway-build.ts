import { randomId } from "@slipway/base";
import type { Backends, BuildEvent } from "../backend.ts";
import { encodeBuildEvent, readWireBuildRequest } from "../build-wire.ts";
import type { Call } from "../call.ts";
import { errorDocument } from "../error-reply.ts";
import { type Reply, stream } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { BuildOutputs } from "./build-outputs.ts";
import { LineStream } from "./line-stream.ts";
import { registryLogins } from "./registry.ts";

/** Request bodies carry secrets and a Dockerfile's text, not files of the context. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;

/** Our own build call: the context is read in place, and every event is sent as it is. */
export function slipwayBuildRoutes({ builds }: Backends): RouteTable {
  const outputs = new BuildOutputs();
  return {
    "POST /slipway/build": (call) => build(call, builds, outputs),
    "GET /slipway/build/outputs/{id}": (call) => {
      const output = outputs.take(call.parameter("id"));
      return stream("application/x-tar", async (body) => {
        for await (const chunk of output) await body.write(chunk);
      });
    },
  };
}

async function build(call: Call, builds: Backends["builds"], outputs: BuildOutputs): Promise<Reply> {
  const logins = registryLogins(call.header("x-registry-config"));
  const request = { ...readWireBuildRequest(await call.json(MAX_REQUEST_BYTES)), registryLogins: logins };
  const lines = new LineStream();
  const work = async () => {
    const result = await builds.build(request, (event) => tell(lines, event), call.signal);
    const { stream: output, ...rest } = result;
    const outputId = output === undefined ? undefined : randomId();
    if (outputId !== undefined && output !== undefined) outputs.put(outputId, output);
    lines.send({ type: "result", ...rest, ...(outputId !== undefined && { outputId }) });
  };
  return await lines.reply(work, (error) => ({ type: "error", ...errorDocument(error) }));
}

/** What steps print may be clipped, what happened to them not. */
function tell(lines: LineStream, event: BuildEvent): void {
  if (event.type !== "log") {
    lines.send(encodeBuildEvent(event));
    return;
  }
  lines.offer(encodeBuildEvent(event), () =>
    encodeBuildEvent({ ...event, data: Buffer.from("\n[output clipped: it is read too slowly]\n") }),
  );
}
