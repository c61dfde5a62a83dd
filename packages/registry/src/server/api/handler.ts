import { deleteBlob, readBlob } from "./blobs.ts";
import { fault, faultResponse, isInternal } from "./fault.ts";
import { listRepositories, listTags } from "./lists.ts";
import { deleteManifest, readManifest, writeManifest } from "./manifests.ts";
import type { Access, Action, Call, RegistryParts } from "./parts.ts";
import { listReferrers } from "./referrers.ts";
import { parseRoute, type Route } from "./route.ts";
import type { Uploads } from "./uploads.ts";

/** Tells who asks. Throws UNAUTHORIZED with the challenge that the client needs. */
export interface Gate {
  admit(request: Request, needs: readonly Need[]): Promise<Access> | Access;
}

export interface Need {
  readonly name: string;
  readonly action: Action;
}

export interface Handlers {
  readonly parts: RegistryParts;
  readonly uploads: Uploads;
  readonly gate: Gate;
}

/** Answers a request of the registry's API. `path` and `search` are those of its URL. */
export async function handle(handlers: Handlers, request: Request, path: string, search: string): Promise<Response> {
  try {
    const route = parseRoute(path);
    if (route === undefined) throw fault("NOT_FOUND", "there is nothing at this path");
    const access = await handlers.gate.admit(request, needsOf(route, request.method));
    return await dispatch(handlers, { request, query: new URLSearchParams(search), access }, route);
  } catch (error) {
    if (isInternal(error)) handlers.parts.log.error("request failed", { method: request.method, path, error });
    const response = faultResponse(error);
    // An answer to HEAD has no body.
    return request.method === "HEAD" ? new Response(null, response) : response;
  }
}

const WRITES: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** The rights that a request needs. */
function needsOf(route: Route, method: string): readonly Need[] {
  if (!("name" in route)) return [];
  const { name } = route;
  const isUpload = route.kind === "uploads" || route.kind === "upload";
  if (isUpload || WRITES.has(method))
    return [
      { name, action: "pull" },
      { name, action: "push" },
    ];
  return [{ name, action: method === "DELETE" ? "delete" : "pull" }];
}

async function dispatch(handlers: Handlers, call: Call, route: Route): Promise<Response> {
  const { parts, uploads } = handlers;
  const { method } = call.request;
  const isRead = method === "GET" || method === "HEAD";
  switch (route.kind) {
    case "base":
      if (isRead) return Response.json({});
      break;
    case "catalog":
      if (isRead) return await listRepositories(parts, call);
      break;
    case "tags":
      if (isRead) return await listTags(parts, call, route.name);
      break;
    case "referrers":
      if (isRead) return await listReferrers(parts, call, route.name, route.digest);
      break;
    case "manifest":
      if (isRead) return await readManifest(parts, call, route.name, route.reference);
      if (method === "PUT") return await writeManifest(parts, call, route.name, route.reference);
      if (method === "DELETE") return await deleteManifest(parts, route.name, route.reference);
      break;
    case "blob":
      if (isRead) return await readBlob(parts, call, route.name, route.digest);
      if (method === "DELETE") return await deleteBlob(parts, route.name, route.digest);
      break;
    case "uploads":
      if (method === "POST") return await uploads.begin(call, route.name);
      break;
    case "upload":
      if (method === "PATCH") return await uploads.append(call, route.name, route.id);
      if (method === "PUT") return await uploads.finish(call, route.name, route.id);
      if (isRead) return await uploads.status(route.name, route.id);
      if (method === "DELETE") return await uploads.cancel(route.name, route.id);
      break;
  }
  throw fault("UNSUPPORTED", "the operation is unsupported");
}
