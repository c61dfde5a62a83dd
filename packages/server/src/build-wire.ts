import { lstatSync } from "node:fs";
import { type JsonReader, SlipwayError } from "@slipway/base";
import { parsePlatform } from "@slipway/oci";
import type { BuildEvent, BuildRequest } from "./backend.ts";
import { readNetworkMode, readUlimit } from "./routes/build-request.ts";

/**
 * `POST /slipway/build`: a build request as JSON. Maps are objects, bytes are base64, a platform is `os/architecture`.
 *
 * A `local` context carries the device and inode that the client sees at its path: when the daemon sees another directory
 * there (a container, another machine behind a forwarded socket) it answers `conflict`, and the client sends a tar instead.
 */
export function readWireBuildRequest(reader: JsonReader): BuildRequest {
  const target = reader.field("target").optionalString() || undefined;
  const platform = reader.field("platform").optional();
  return {
    context: readContext(reader.field("context")),
    dockerfile: readDockerfile(reader.field("dockerfile")),
    namedContexts: reader.field("namedContexts").stringMap(),
    ...(target !== undefined && { target }),
    buildArgs: reader.field("buildArgs").stringMap(),
    labels: reader.field("labels").stringMap(),
    tags: reader.field("tags").strings(),
    ...(platform !== undefined && { platform: readPlatform(platform) }),
    noCache: reader.field("noCache").optionalBoolean() ?? false,
    pull: reader.field("pull").optionalBoolean() ?? false,
    secrets: new Map(
      Object.entries(reader.field("secrets").stringMap()).map(([id, text]) => [id, Buffer.from(text, "base64")]),
    ),
    ssh: new Map(Object.entries(reader.field("ssh").stringMap())),
    network: readNetworkMode(reader.field("network").optionalString()),
    extraHosts: reader.field("extraHosts").strings(),
    shmSize: reader.field("shmSize").optional()?.natural() ?? 64 * 1024 * 1024,
    ulimits: reader.field("ulimits").optional()?.array().map(readUlimit) ?? [],
    output: readOutput(reader.field("output")),
  };
}

function readContext(reader: JsonReader): BuildRequest["context"] {
  const kind = reader.field("kind").string();
  switch (kind) {
    case "local": {
      const path = reader.field("path").string();
      checkIdentity(path, reader);
      return { kind, path };
    }
    case "git":
      return { kind, url: reader.field("url").string() };
    case "empty":
      return { kind };
    default:
      throw new SlipwayError("invalid", `unknown kind of build context '${kind.slice(0, 100)}'`);
  }
}

function checkIdentity(path: string, reader: JsonReader): void {
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new SlipwayError("invalid", `the build context '${path.slice(0, 200)}' is not an absolute path`);
  }
  const seen = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const matches =
    seen?.isDirectory() === true &&
    seen.dev.toString() === numberText(reader.field("device")) &&
    seen.ino.toString() === numberText(reader.field("inode"));
  if (!matches) throw new SlipwayError("conflict", `the daemon sees another directory at ${path} than the client`);
}

/** Inodes can be above 2^53; then clients send them as text. */
function numberText(reader: JsonReader): string {
  return typeof reader.value === "string" ? reader.value : String(reader.natural());
}

function readDockerfile(reader: JsonReader): BuildRequest["dockerfile"] {
  const text = reader.field("text").optionalString();
  if (text === undefined) return { path: reader.field("path").optionalString() ?? "Dockerfile" };
  return { text, name: reader.field("name").optionalString() ?? "Dockerfile" };
}

function readPlatform(reader: JsonReader): NonNullable<BuildRequest["platform"]> {
  if (typeof reader.value === "string") return parsePlatform(reader.value);
  const parts = [
    reader.field("os").string(),
    reader.field("architecture").string(),
    reader.field("variant").optionalString(),
  ];
  return parsePlatform(parts.filter(Boolean).join("/"));
}

function readOutput(reader: JsonReader): BuildRequest["output"] {
  const type = reader.field("type").optionalString() ?? "image";
  switch (type) {
    case "image":
    case "cacheonly":
      return { type };
    case "local":
    case "tar":
    case "oci":
    case "docker":
      return { type };
    default:
      throw new SlipwayError("invalid", `unknown output type '${type.slice(0, 100)}'`, {
        hint: "Use image, local, tar, oci, docker or cacheonly.",
      });
  }
}

/** One event as a JSON line's value: as it is, bytes as base64. */
export function encodeBuildEvent(event: BuildEvent): Record<string, unknown> {
  return event.type === "log" ? { ...event, data: Buffer.from(event.data).toString("base64") } : { ...event };
}
