import { SlipwayError } from "@slipway/base";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { errorDocument } from "../error-reply.ts";
import { type Reply, stream } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";

/** Our own calls about images. */
export function slipwayImageRoutes({ images }: Backends): RouteTable {
  return { "GET /slipway/images/diff": (call) => diff(call, images) };
}

/** A line for each difference; a last line `{"error": ...}` if it could not be finished. */
function diff(call: Call, images: Backends["images"]): Reply {
  const [before, after] = ["from", "to"].map((name) => call.query.string(name));
  if (!before || !after) throw new SlipwayError("invalid", "from and to are required: name the two images");
  const changes = images.diff(before, after, { signal: call.signal });
  return stream("application/json", async (body) => {
    try {
      for await (const change of changes) await body.write(`${JSON.stringify(change)}\n`);
    } catch (error) {
      await body.write(`${JSON.stringify({ error: errorDocument(error) })}\n`);
    }
  });
}
