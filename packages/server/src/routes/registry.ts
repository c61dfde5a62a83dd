import { humanSize, JsonReader, SlipwayError } from "@slipway/base";
import { formatPlatform } from "@slipway/oci";
import type { Backends, RegistryAuth, RemoteRequest, TransferStep } from "../backend.ts";
import type { Call } from "../call.ts";
import { errorDocument } from "../error-reply.ts";
import { bytes, json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { imageDocument } from "../shapes/image.ts";
import { readPlatforms } from "./image-platform.ts";
import { LineStream } from "./line-stream.ts";
import { present } from "./present.ts";

/** What goes to registries and comes from them. (`POST /images/create` is shared with imports: image-archives.ts.) */
export function registryRoutes({ registries }: Backends): RouteTable {
  return {
    "POST /images/{name*}/push": (call) => push(call, registries),
    "POST /auth": (call) => login(call, registries),
    "GET /images/search": (call) => search(call, registries),
    "GET /distribution/{name*}/json": (call) => describe(call, registries),
    "GET /slipway/distribution/{name*}/document": (call) => document(call, registries, false),
    "GET /slipway/distribution/{name*}/config": (call) => document(call, registries, true),
    "GET /slipway/distribution/{name*}/image": async (call) => {
      const options = { ...remoteRequest(call), ...present({ platform: call.query.string("platform") }) };
      return json(200, imageDocument(await registries.inspect(call.parameter("name"), options), call.version));
    },
    "PUT /slipway/distribution/{name*}/document": (call) => putDocument(call, registries),
    "POST /slipway/distribution/copy": (call) => copy(call, registries),
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
        ...present({ credentials, tag: call.query.string("tag"), platform: pushedPlatform(call), form }),
      },
      ({ tag, digest, size }) => lines.send({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: size } }),
    );
  return await lines.reply(work, failureLine);
}

/** JSON in Docker's API, from 1.46 on. */
function pushedPlatform({ query }: Call): string | undefined {
  const given = query.string("platform");
  if (given?.startsWith("{") !== true) return given;
  const [platform] = readPlatforms(query);
  return platform && formatPlatform(platform);
}

async function login(call: Call, registries: Backends["registries"]): Promise<Reply> {
  const body = await call.json();
  const address = body.field("serveraddress").optionalString() ?? "";
  const { identityToken } = await registries.login(address, { credentials: readAuth(body), signal: call.signal });
  return json(200, { Status: "Login Succeeded", IdentityToken: identityToken });
}

async function search(call: Call, registries: Backends["registries"]): Promise<Reply> {
  const { query } = call;
  const term = query.string("term");
  if (term === undefined) throw new SlipwayError("invalid", "term is required: say what to search for");
  const limit = query.integer("limit") ?? 25;
  const results = await registries.search(term, { limit, filters: query.filters(), ...remoteRequest(call) });
  return json(
    200,
    results.map(({ name, description, stars, official, automated }) => ({
      star_count: stars,
      is_official: official,
      name,
      is_automated: automated,
      description,
    })),
  );
}

async function describe(call: Call, registries: Backends["registries"]): Promise<Reply> {
  const { descriptor, platforms } = await registries.describe(call.parameter("name"), remoteRequest(call));
  const { mediaType, digest, size } = descriptor;
  return json(200, {
    Descriptor: { mediaType, digest, size },
    Platforms: platforms.map(({ os, architecture, variant, osVersion }) =>
      present({ architecture, os, variant, "os.version": osVersion }),
    ),
  });
}

async function document(call: Call, registries: Backends["registries"], config: boolean): Promise<Reply> {
  const found = await registries.document(call.parameter("name"), { config, ...remoteRequest(call) });
  return bytes(200, found.bytes, { "Content-Type": found.mediaType, "Docker-Content-Digest": found.digest });
}

const MOST_DOCUMENT_BYTES = 8 * 1024 * 1024;

async function putDocument(call: Call, registries: Backends["registries"]): Promise<Reply> {
  const content = await call.bytes(MOST_DOCUMENT_BYTES);
  const mediaType = call.header("content-type") ?? "";
  const name = call.parameter("name");
  return json(201, { digest: await registries.putDocument(name, { bytes: content, mediaType }, remoteRequest(call)) });
}

async function copy(call: Call, registries: Backends["registries"]): Promise<Reply> {
  const source = call.query.string("source");
  const target = call.query.string("target");
  if (source === undefined || target === undefined) throw new SlipwayError("invalid", "source and target are required");
  const sourceCredentials = registryAuth(call.header("x-registry-auth-source"));
  const digest = await registries.copy(source, target, { ...remoteRequest(call), ...present({ sourceCredentials }) });
  return json(200, { digest });
}

function remoteRequest(call: Call): RemoteRequest {
  return { signal: call.signal, ...present({ credentials: registryAuth(call.header("x-registry-auth")) }) };
}

/** The logins of `X-Registry-Config`, by the registries' names as image names have them. */
export function registryLogins(header: string | undefined): Record<string, RegistryAuth> {
  if (header === undefined || header === "") return {};
  try {
    const reader = JsonReader.parse(Buffer.from(header, "base64url"), "X-Registry-Config");
    return Object.fromEntries(reader.keys().map((key) => [registryDomain(key), readAuth(reader.field(key))]));
  } catch {
    return {};
  }
}

/** Clients name registries by their addresses: `https://index.docker.io/v1/` is Docker Hub. */
function registryDomain(address: string): string {
  const host = address.replace(/^[a-z]+:\/\//, "").replace(/\/.*$/, "");
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
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
  const { message } = errorDocument(error);
  return { errorDetail: { message }, error: message };
}
