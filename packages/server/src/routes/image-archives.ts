import { errorMessage, SlipwayError, shortId } from "@slipway/base";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { type Reply, stream } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { readPlatforms, requirePlatform } from "./image-platform.ts";
import { LineStream } from "./line-stream.ts";
import { present } from "./present.ts";
import { pull } from "./registry.ts";

/** Images that come and go as tars. Nothing here is held in memory: slow disks slow the client, and the other way round. */
export function imageArchiveRoutes({ images, registries }: Backends): RouteTable {
  return {
    "POST /images/load": (call) => load(call, images),
    "POST /images/create": (call) => create(call, images, registries),
    "GET /images/get": (call) => {
      const names = call.query.strings("names").flatMap((value) => value.split(","));
      if (names.length === 0) throw new SlipwayError("invalid", "name at least one image with ?names=");
      return save(call, names, images);
    },
    "GET /images/{name*}/get": (call) => save(call, [call.parameter("name")], images),
  };
}

async function save(call: Call, names: readonly string[], images: Backends["images"]): Promise<Reply> {
  const platforms = call.version < 48 ? [] : readPlatforms(call.query);
  if (platforms.length > 0) {
    for (const name of names) requirePlatform(await images.inspect(name), name, platforms);
  }
  const archive = await images.save(names, { signal: call.signal });
  return stream("application/x-tar", async (body) => {
    for await (const chunk of archive) await body.write(chunk);
  });
}

async function load(call: Call, images: Backends["images"]): Promise<Reply> {
  const quiet = call.query.boolean("quiet", true);
  const platforms = call.version < 48 ? [] : readPlatforms(call.query);
  const lines = new LineStream();
  const read = async () => {
    const loaded = await images.load(call.body(), {
      signal: call.signal,
      onProgress: (progress) => {
        if (!quiet) lines.send(progressLine("Loading layer", progress));
      },
    });
    for (const image of loaded) {
      if (platforms.length > 0) requirePlatform(await images.inspect(image.id), image.names[0] ?? image.id, platforms);
      if (image.names.length === 0) lines.send({ stream: `Loaded image ID: ${image.id}\n` });
      for (const name of image.names) lines.send({ stream: `Loaded image: ${name}\n` });
    }
  };
  // Docker answers 200 whatever the archive is, and tells its mistakes in a line: clients look there.
  const work = () => read().catch((error: unknown) => lines.send(failureLine(error)));
  return await lines.reply(work, failureLine);
}

function progressLine(
  status: string,
  progress: { readonly id: string; readonly current: number; readonly total: number },
): Record<string, unknown> {
  return {
    status,
    progressDetail: { current: progress.current, ...(progress.total > 0 && { total: progress.total }) },
    id: shortId(progress.id),
  };
}

/** `docker import` and `docker pull`. */
async function create(call: Call, images: Backends["images"], registries: Backends["registries"]): Promise<Reply> {
  const { query } = call;
  const from = query.string("fromImage");
  if (from !== undefined) return await pull(call, from, registries);
  const source = query.string("fromSrc");
  if (source === undefined) throw new SlipwayError("invalid", "neither fromImage nor fromSrc is given");
  const tar = source === "-" ? call.body() : await download(source, call.signal);
  const repository = query.string("repo");
  const tag = query.string("tag");
  const lines = new LineStream();
  const work = async () => {
    const id = await images.import(tar, {
      message: query.string("message") ?? "",
      changes: query.strings("changes"),
      signal: call.signal,
      ...present({
        reference: repository === undefined || tag === undefined ? repository : `${repository}:${tag}`,
        platform: query.string("platform"),
      }),
    });
    lines.send({ status: id });
  };
  return await lines.reply(work, failureLine);
}

async function download(source: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const url = /^https?:\/\//.test(source) ? source : `http://${source}`;
  if (!URL.canParse(url))
    throw new SlipwayError("invalid", `'${source.slice(0, 200)}' is not an address to import from`);
  const response = await fetch(url, { signal }).catch((error: unknown) => {
    throw new SlipwayError("unavailable", `cannot fetch ${source}: ${errorMessage(error)}`, { cause: error });
  });
  if (!response.ok || response.body === null) {
    throw new SlipwayError("unavailable", `cannot fetch ${source}: the server answered ${response.status}`);
  }
  return response.body;
}

function failureLine(error: unknown): Record<string, unknown> {
  const message = errorMessage(error);
  return { errorDetail: { message }, error: message };
}
