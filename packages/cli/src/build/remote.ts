import type { ProgressLine } from "../client/documents.ts";
import type { EngineClient } from "../client/engine-client.ts";
import { jsonLines } from "../client/json-lines.ts";
import { ExitError } from "../errors.ts";
import type { FlagValues } from "../grammar/flag.ts";
import { asStream } from "../input-file.ts";
import type { Io } from "../io.ts";
import { parseUlimit } from "../notation/device.ts";
import { pairs } from "../notation/environment.ts";
import { Meter } from "../output/meter.ts";
import type { BUILD_FLAGS } from "./build-flags.ts";
import type { BuildSources } from "./context.ts";
import { contextTar, SENT_DOCKERFILE } from "./context-tar.ts";
import type { Output } from "./outputs.ts";
import type { Progress } from "./progress.ts";
import type { ResultLine } from "./wire.ts";

export interface RemoteBuild {
  readonly client: EngineClient;
  readonly flags: FlagValues<typeof BUILD_FLAGS>;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly sources: BuildSources;
  readonly io: Io;
  readonly output: Output;
  readonly progress: Progress;
  /** The user's logins to registries. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Builds by Docker's own call, `POST /build`, with the context as a tar: for engines that do not see our files. */
export async function buildFromTar({
  client,
  flags,
  buildArgs,
  sources,
  io,
  output,
  progress,
  headers,
}: RemoteBuild): Promise<ResultLine> {
  progress.end();
  if (output.type !== "image")
    throw new ExitError(
      1,
      `an engine elsewhere cannot give type=${output.type} yet`,
      "Build an image, and use save or cp.",
    );
  if (flags.secret.length + flags.ssh.length > 0)
    throw new ExitError(1, "--secret and --ssh work only where the engine sees this machine's files");
  const { context, dockerfile } = sources;
  const chunks =
    context.kind === "tar"
      ? context.chunks
      : context.kind === "local"
        ? contextTar(context.path, dockerfile)
        : undefined;
  if (chunks === undefined) throw new ExitError(1, "this context cannot be sent as a tar");
  using meter = new Meter(io, { doing: "Sending the build context" });
  const response = await client.request("POST", "/build", {
    query: {
      t: [...flags.tag, ...output.names],
      dockerfile: "path" in dockerfile ? dockerfile.path : SENT_DOCKERFILE,
      buildargs: JSON.stringify(buildArgs),
      labels: JSON.stringify(pairs(flags.label)),
      nocache: flags["no-cache"],
      pull: flags.pull,
      q: flags.quiet,
      target: flags.target || undefined,
      platform: flags.platform[0],
      networkmode: flags.network === "default" ? undefined : flags.network,
      extrahosts: flags["add-host"].join(",") || undefined,
      shmsize: flags["shm-size"] || undefined,
      ulimits: flags.ulimit.length === 0 ? undefined : JSON.stringify(flags.ulimit.map(parseUlimit)),
      rm: 1,
    },
    headers: { "Content-Type": "application/x-tar", ...headers },
    body: meter.counting(asStream(chunks)),
  });
  let imageId: string | undefined;
  for await (const line of jsonLines<ProgressLine>(response.body)) {
    meter.clear();
    if (line.error !== undefined)
      throw new ExitError(1, `ERROR: failed to build: ${line.errorDetail?.message ?? line.error}`);
    const id = (line.aux as { ID?: unknown } | undefined)?.ID;
    if (typeof id === "string") imageId = id;
    if (!flags.quiet) io.stderr.write(line.stream ?? (line.status === undefined ? "" : `${line.status}\n`));
    await io.stderr.flush();
  }
  return { type: "result", names: [...flags.tag], ...(imageId === undefined ? {} : { imageId }) };
}
