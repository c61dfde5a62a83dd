import type { ProgressLine } from "../../client/documents.ts";
import type { EngineClient } from "../../client/engine-client.ts";
import { jsonLines } from "../../client/json-lines.ts";
import { ApiError } from "../../errors.ts";
import type { Io, Output } from "../../io.ts";
import { ProgressLines } from "../../output/progress-lines.ts";
import { splitReference } from "../../output/text.ts";

export interface PullOptions {
  readonly client: EngineClient;
  readonly reference: string;
  readonly platform: string | undefined;
  readonly quiet: boolean;
  readonly output: Output;
  readonly env: Io["env"];
  /** All tags of the repository. */
  readonly all?: boolean;
  /** Who the user is to the registry. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Asks the engine to fetch an image. Throws `ApiError`, also for what goes wrong half-way. */
export async function pullImage(options: PullOptions): Promise<void> {
  const { client, reference, platform, quiet, output, headers } = options;
  const { repository, tag, digest } = splitReference(reference);
  const response = await client.request("POST", "/images/create", {
    query: {
      fromImage: repository,
      tag: options.all === true ? undefined : (digest ?? tag ?? "latest"),
      platform: platform || undefined,
    },
    headers,
  });
  const progress = new ProgressLines(output, { quiet, env: options.env });
  for await (const line of jsonLines<ProgressLine>(response.body)) {
    if (line.error !== undefined) throw new ApiError(500, line.errorDetail?.message ?? line.error);
    progress.show(line);
    await output.flush();
  }
  progress.end();
}
