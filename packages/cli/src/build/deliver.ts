import type { EngineClient } from "../client/engine-client.ts";
import { ExitError } from "../errors.ts";
import type { Io } from "../io.ts";
import { saveStream } from "../output/save-stream.ts";
import type { Output } from "./outputs.ts";
import type { ResultLine } from "./wire.ts";

/** Brings a build's files to where `--output` wants them. */
export async function deliver(
  client: EngineClient,
  result: ResultLine,
  { output, io }: { readonly output: Output; readonly io: Io },
): Promise<void> {
  if (output.type === "image" || output.type === "cacheonly") return;
  if (result.outputId === undefined) throw new ExitError(1, "the engine made no output");
  const response = await client.request("GET", `/slipway/build/outputs/${result.outputId}`);
  if (output.type === "local") {
    const { unpackTree } = await import("./unpack-tree.ts");
    await unpackTree(response, output.dest);
    return;
  }
  if (output.dest === "-" && io.stdout.isTerminal()) {
    throw new ExitError(1, "refusing to write a tar to a terminal", "Redirect it, or name a file with dest=PATH.");
  }
  await saveStream(response, { path: output.dest, io, doing: "Writing" });
}
