import { type JsonReader, SlipwayError } from "@slipway/base";
import { parsePlatform } from "@slipway/oci";
import type { BuildRequest } from "../backend.ts";
import type { Call } from "../call.ts";
import { registryLogins } from "./registry.ts";

const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;

/** The query of `POST /build` as a request to the builder. Throws `invalid`. */
export function readBuildQuery(call: Call): BuildRequest {
  const { query } = call;
  if (query.string("version") === "2") {
    throw new SlipwayError("not-implemented", "BuildKit's session API is not served yet", {
      hint: "Build with DOCKER_BUILDKIT=0, or with 'slipway build'.",
    });
  }
  if (query.boolean("squash")) throw new SlipwayError("not-implemented", "squashing a build is not supported");
  const target = query.string("target");
  const platform = query.string("platform");
  return {
    context: readContext(call),
    dockerfile: { path: query.string("dockerfile") ?? "Dockerfile" },
    namedContexts: {},
    ...(target !== undefined && { target }),
    buildArgs: readBuildArgs(query.json("buildargs")),
    labels: query.json("labels")?.stringMap() ?? {},
    tags: query.strings("t"),
    ...(platform !== undefined && { platform: parsePlatform(platform) }),
    noCache: query.boolean("nocache"),
    pull: query.boolean("pull"),
    secrets: new Map(),
    ssh: new Map(),
    network: readNetworkMode(query.string("networkmode")),
    extraHosts: query.strings("extrahosts").flatMap((value) => value.split(",")),
    shmSize: readShmSize(query.integer("shmsize")),
    ulimits: query.json("ulimits")?.array().map(readUlimit) ?? [],
    output: { type: "image" },
    registryLogins: registryLogins(call.header("x-registry-config")),
  };
}

/** The body is the tar unless `remote` names a git repository; a plain URL of a tar is fetched by the builder's rules. */
function readContext(call: Call): BuildRequest["context"] {
  const remote = call.query.string("remote");
  if (remote === undefined) return { kind: "tar", stream: call.body() };
  if (remote === "client-session") {
    throw new SlipwayError("not-implemented", "contexts over BuildKit's session are not supported yet");
  }
  if (/^(git:\/\/|git@|github\.com\/)|\.git(#|$)/.test(remote)) return { kind: "git", url: remote };
  throw new SlipwayError(
    "not-implemented",
    `cannot build from ${remote.slice(0, 200)}: only git repositories and tars are contexts`,
  );
}

/** `{"NAME":"value"}`; null means "as in the client's environment", and the client has filled it in if it was there. */
function readBuildArgs(reader: JsonReader | undefined): Record<string, string> {
  if (reader === undefined) return {};
  const given = reader.keys().flatMap((name): [string, string][] => {
    const value = reader.field(name).optionalString();
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(given);
}

/** Of a step's limits, as Docker's clients send them. */
export function readUlimit(reader: JsonReader): BuildRequest["ulimits"][number] {
  const [name, soft, hard] = [
    reader.field("Name").string(),
    reader.field("Soft").number(),
    reader.field("Hard").number(),
  ];
  return { name, soft, hard };
}

export function readNetworkMode(mode: string | undefined): BuildRequest["network"] {
  if (mode === undefined || mode === "default" || mode === "bridge") return "default";
  if (mode === "none" || mode === "host") return mode;
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(mode)) return `network:${mode}`;
  throw new SlipwayError("invalid", `network mode '${mode.slice(0, 100)}' is not supported by builds`, {
    hint: "Use default, none, host, or the name of a network.",
  });
}

function readShmSize(size: number | undefined): number {
  if (size !== undefined && size < 0) throw new SlipwayError("invalid", "shmsize cannot be negative");
  return size || DEFAULT_SHM_SIZE;
}
