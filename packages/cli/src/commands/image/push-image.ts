import type { ProgressLine } from "../../client/documents.ts";
import type { EngineClient } from "../../client/engine-client.ts";
import { jsonLines } from "../../client/json-lines.ts";
import { ExitError } from "../../errors.ts";
import type { Io, Output } from "../../io.ts";
import { ProgressLines } from "../../output/progress-lines.ts";

export interface PushOptions {
  readonly client: EngineClient;
  readonly repository: string;
  /** All tags of the repository without it. */
  readonly tag: string | undefined;
  readonly platform?: string | undefined;
  readonly compression?: string | undefined;
  readonly level?: string | undefined;
  readonly quiet: boolean;
  readonly output: Output;
  readonly env: Io["env"];
  /** Who the user is to the registry. */
  readonly headers: Readonly<Record<string, string>>;
}

/** As Docker's API has it. */
async function platformDocument(text: string): Promise<string> {
  const { parsePlatform } = await import("@slipway/oci");
  const { os, architecture, variant } = parsePlatform(text);
  return JSON.stringify({ architecture, os, ...(variant && { variant }) });
}

/** Asks the engine to send an image. Throws `ApiError`, and `ExitError` for what goes wrong half-way. */
export async function pushImage(options: PushOptions): Promise<void> {
  const { client, repository, tag, platform, compression, level, output } = options;
  const response = await client.request("POST", `/images/${repository}/push`, {
    query: { tag, platform: platform && (await platformDocument(platform)), compression, level },
    // Docker's engines insist on the header; this is a login of nothing.
    headers: { "X-Registry-Auth": "e30", ...options.headers },
  });
  const progress = new ProgressLines(output, options);
  for await (const line of jsonLines<ProgressLine>(response.body)) {
    if (line.error !== undefined) throw new ExitError(1, line.errorDetail?.message ?? line.error);
    progress.show(line);
    await output.flush();
  }
  progress.end();
}
