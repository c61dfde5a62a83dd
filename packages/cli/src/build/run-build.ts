import type { EngineClient } from "../client/engine-client.ts";
import { jsonLines } from "../client/json-lines.ts";
import { ApiError, ExitError } from "../errors.ts";
import type { Io } from "../io.ts";
import type { Progress } from "./progress.ts";
import type { BuildLine, ErrorLine, ResultLine } from "./wire.ts";

/** The body of `POST /slipway/build`. */
export type BuildBody = Readonly<Record<string, unknown>>;

/** Sends the request and shows what happens. Throws `ExitError` when the build fails or is cancelled. */
export async function runBuild(
  client: EngineClient,
  body: BuildBody,
  view: { readonly progress: Progress; readonly io: Io; readonly headers: Readonly<Record<string, string>> },
): Promise<ResultLine> {
  const cancel = new AbortController();
  const undo = (["SIGINT", "SIGTERM"] as const).map((signal) => view.io.onSignal(signal, () => cancel.abort()));
  try {
    const response = await client.request("POST", "/slipway/build", {
      json: body,
      signal: cancel.signal,
      headers: view.headers,
    });
    return await follow(response, view);
  } catch (error) {
    view.progress.end();
    if (!cancel.signal.aborted) throw error;
    // Closing the connection cancels the build in the engine.
    throw new ExitError(130, "ERROR: the build was cancelled");
  } finally {
    for (const end of undo) end();
  }
}

async function follow(
  response: Response,
  { progress, io }: { readonly progress: Progress; readonly io: Io },
): Promise<ResultLine> {
  let failed: { name: string; error: string } | undefined;
  for await (const line of jsonLines<BuildLine>(response.body)) {
    if (line.type === "result") {
      progress.end();
      return line;
    }
    if (line.type === "error") {
      progress.end();
      throw failure(line, failed?.name);
    }
    if (line.type === "vertex" && line.state === "failed") failed = { name: line.name, error: line.error ?? "" };
    progress.line(line);
    await io.stderr.flush();
  }
  throw new ApiError(502, "the engine closed the connection in the middle of the build");
}

/** What failed, its last words, its place in the Dockerfile, what to do. */
function failure({ message, hint, details }: ErrorLine, step: string | undefined): ExitError {
  const lastLines = Array.isArray(details?.lastLines) ? (details.lastLines as unknown[]).map(String) : [];
  const excerpt =
    lastLines.length === 0
      ? ""
      : `------\n > ${step ?? "the step"}:\n${lastLines.map((line) => `${line}\n`).join("")}------\n`;
  return new ExitError(1, `${excerpt}ERROR: failed to build: ${message.trimEnd()}`, hint);
}
