import { SlipwayError } from "@slipway/base";
import { readRunConfig } from "@slipway/oci";
import type { Backends } from "../backend.ts";
import type { Call } from "../call.ts";
import { empty, type Headers, json, type Reply } from "../http/reply.ts";
import type { RouteTable } from "../router.ts";
import { pathStatHeader } from "../shapes/path-stat.ts";
import { present } from "./present.ts";

const CHANGE_KINDS = { modified: 0, added: 1, deleted: 2 } as const;
const PATH_STAT = "X-Docker-Container-Path-Stat";

/** The files of containers: copied in and out, compared, exported, made an image. */
export function fileRoutes({ files }: Backends): RouteTable {
  return {
    "HEAD /containers/{id}/archive": async (call) => {
      const stat = await files.stat(call.parameter("id"), pathOf(call));
      return empty(200, { [PATH_STAT]: pathStatHeader(stat) });
    },
    "GET /containers/{id}/archive": async (call) => {
      const { stat, tar } = await files.archive(call.parameter("id"), pathOf(call), { signal: call.signal });
      return tarReply("application/x-tar", tar, { [PATH_STAT]: pathStatHeader(stat) });
    },
    "PUT /containers/{id}/archive": async (call) => {
      await files.extract(call.parameter("id"), pathOf(call), call.body(), {
        copyUidGid: call.query.boolean("copyUIDGID"),
        noOverwriteDirNonDir: call.query.boolean("noOverwriteDirNonDir"),
        signal: call.signal,
      });
      return empty(200);
    },
    "GET /containers/{id}/changes": async (call) => {
      const changes = await files.changes(call.parameter("id"));
      const list = changes.map(({ path, kind }) => ({ Path: path, Kind: CHANGE_KINDS[kind] }));
      return json(200, list.length === 0 ? null : list);
    },
    "GET /containers/{id}/export": async (call) => {
      return tarReply("application/octet-stream", await files.export(call.parameter("id"), { signal: call.signal }));
    },
    "POST /commit": (call) => commit(call, files),
  };
}

async function commit(call: Call, files: Backends["files"]): Promise<Reply> {
  const { query } = call;
  const container = query.string("container");
  if (container === undefined) throw new SlipwayError("invalid", "bad parameter: container cannot be empty");
  const body = (await call.json()).optional();
  const id = await files.commit(container, {
    author: query.string("author") ?? "",
    comment: query.string("comment") ?? "",
    // One parameter with several lines, or several parameters.
    changes: query.strings("changes").flatMap((change) => change.split("\n")),
    ...present({
      repository: query.string("repo"),
      tag: query.string("tag"),
      config: body === undefined ? undefined : readRunConfig(body),
    }),
  });
  return json(201, { Id: id });
}

function pathOf(call: Call): string {
  const path = call.query.string("path");
  if (path === undefined) throw new SlipwayError("invalid", "bad parameter: path cannot be empty");
  return path;
}

function tarReply(type: string, tar: AsyncIterable<Uint8Array>, headers: Headers = {}): Reply {
  return {
    kind: "stream",
    status: 200,
    headers: { "Content-Type": type, ...headers },
    run: async (body) => {
      for await (const chunk of tar) await body.write(chunk);
    },
  };
}
