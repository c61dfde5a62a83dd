import type { ProgressLine } from "../../client/documents.ts";
import type { EngineClient } from "../../client/engine-client.ts";
import { jsonLines } from "../../client/json-lines.ts";
import { ApiError } from "../../errors.ts";
import type { Output } from "../../io.ts";
import { splitReference } from "../../output/text.ts";

export interface PullOptions {
  readonly client: EngineClient;
  readonly reference: string;
  readonly platform: string | undefined;
  readonly quiet: boolean;
  readonly output: Output;
}

/** Asks the engine to fetch an image. Throws `ApiError`, also for what goes wrong half-way. */
export async function pullImage({ client, reference, platform, quiet, output }: PullOptions): Promise<void> {
  const { repository, tag, digest } = splitReference(reference);
  const response = await client.request("POST", "/images/create", {
    query: { fromImage: repository, tag: digest ?? tag ?? "latest", platform: platform || undefined },
  });
  for await (const line of jsonLines<ProgressLine>(response.body)) {
    if (line.error !== undefined) throw new ApiError(500, line.errorDetail?.message ?? line.error);
    if (quiet || line.status === undefined || line.progressDetail?.current !== undefined) continue;
    output.write(`${line.id === undefined ? "" : `${line.id}: `}${line.status}\n`);
    await output.flush();
  }
}
