import { errorMessage, humanSize, JsonReader, SlipwayError } from "@slipway/base";
import type { Backends, RegistryAuth, TransferStep } from "../backend.ts";
import type { Call } from "../call.ts";
import type { Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { LineStream } from "./line-stream.ts";
import { present } from "./present.ts";

/** What goes to registries and comes from them. (`POST /images/create` is shared with imports: image-archives.ts.) */
export function registryRoutes({ registries }: Backends): RouteTable {
  return {
    "POST /images/{name*}/push": (call) => push(call, registries),
  };
}

/** `docker pull`, by `?fromImage=` and `?tag=`, which may be a digest. Without a tag Docker's API pulls all of them. */
export async function pull(call: Call, from: string, registries: Backends["registries"]): Promise<Reply> {
  const tag = call.query.string("tag");
  const name = tag === undefined ? from : tag.includes(":") ? `${from}@${tag}` : `${from}:${tag}`;
  const credentials = registryAuth(call.header("x-registry-auth"));
  const lines = new LineStream();
  const work = () =>
    registries.pull(name, {
      all: tag === undefined,
      signal: call.signal,
      onProgress: (step) => lines.send(stepLine(step)),
      ...present({ credentials, platform: call.query.string("platform") }),
    });
  return await lines.reply(work, failureLine);
}

async function push(call: Call, registries: Backends["registries"]): Promise<Reply> {
  const credentials = registryAuth(call.header("x-registry-auth"));
  const lines = new LineStream();
  const form = layerForm(call);
  const work = () =>
    registries.push(
      call.parameter("name"),
      {
        signal: call.signal,
        onProgress: (step) => lines.send(stepLine(step)),
        ...present({ credentials, tag: call.query.string("tag"), platform: call.query.string("platform"), form }),
      },
      ({ tag, digest, size }) => lines.send({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } }),
    );
  return await lines.reply(work, failureLine);
}

type LayerForm = { readonly compression: "gzip" | "zstd" | "uncompressed"; readonly level: number };

/** Our own addition to Docker's push: `?compression=` and `?level=`. */
function layerForm(call: Call): LayerForm | undefined {
  const compression = call.query.string("compression");
  const level = call.query.string("level");
  if (compression === undefined) {
    if (level !== undefined) throw new SlipwayError("invalid", "a compression level needs a compression");
    return undefined;
  }
  if (compression !== "gzip" && compression !== "zstd" && compression !== "uncompressed") {
    throw new SlipwayError("invalid", `unknown compression '${compression}'`, { hint: "gzip, zstd or uncompressed." });
  }
  if (compression === "uncompressed") return { compression, level: 0 };
  const { most, usual } = compression === "gzip" ? { most: 9, usual: 6 } : { most: 19, usual: 3 };
  const chosen = level === undefined ? usual : Number(level);
  if (!Number.isInteger(chosen) || chosen < 1 || chosen > most) {
    throw new SlipwayError("invalid", `invalid level '${level}' for ${compression}`, { hint: `From 1 to ${most}.` });
  }
  return { compression, level: chosen };
}

/**
 * The credentials of `X-Registry-Auth`: JSON as base64url, with or without padding. What cannot be read counts as none, as
 * in Docker, where old clients send all kinds of nothing.
 */
export function registryAuth(header: string | undefined): RegistryAuth | undefined {
  if (header === undefined || header === "") return undefined;
  let reader: JsonReader;
  try {
    reader = JsonReader.parse(Buffer.from(header, "base64url"), "X-Registry-Auth");
    return readAuth(reader);
  } catch {
    return undefined;
  }
}

/** An `AuthConfig` of Docker's API. */
export function readAuth(reader: JsonReader): RegistryAuth {
  const text = (name: string) => reader.field(name).optionalString() ?? "";
  const [username, password] = userAndPassword(text("username"), text("password"), text("auth"));
  return {
    username,
    password,
    ...(text("identitytoken") && { identityToken: text("identitytoken") }),
    ...(text("registrytoken") && { registryToken: text("registrytoken") }),
  };
}

/** `auth` is user and password in one, as the configuration file has them. */
function userAndPassword(username: string, password: string, auth: string): [username: string, password: string] {
  if (username !== "" || auth === "") return [username, password];
  const text = Buffer.from(auth, "base64").toString();
  const colon = text.indexOf(":");
  return colon < 0 ? ["", ""] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** A step as Docker's clients draw it; the bar is for those that print it as it comes. */
export function stepLine({ id, status, current, total }: TransferStep): Record<string, unknown> {
  const detail = current === undefined ? {} : { current, ...(total !== undefined && { total }) };
  const bar = current === undefined ? undefined : progressBar(current, total);
  if (id === undefined) return { status };
  return { status, progressDetail: detail, ...(bar !== undefined && { progress: bar }), id };
}

/** Docker's bar of fifty characters. */
function progressBar(current: number, total: number | undefined): string {
  if (total === undefined || total <= 0) return humanSize(current);
  const done = Math.min(50, Math.floor((current / total) * 50));
  const bar = done < 50 ? `${"=".repeat(done)}>${" ".repeat(50 - done)}` : `${"=".repeat(50)}>`;
  return `[${bar.slice(0, 51)}]  ${humanSize(current)}/${humanSize(total)}`;
}

function failureLine(error: unknown): Record<string, unknown> {
  const message = errorMessage(error);
  return { errorDetail: { message }, error: message };
}
