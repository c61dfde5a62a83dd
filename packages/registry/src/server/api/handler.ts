import type { Passage, PullThrough } from "../cache/pull-through.ts";
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
  readonly cache: PullThrough;
}

/** What is learned of a request while it is answered, for logs and metrics. */
export interface Exchange {
  readonly request: Request;
  readonly path: string;
  /** The query, without its mark. */
  readonly search: string;
  /** The address that it came from. */
  readonly peer: string;
  route: Route["kind"] | "none";
  user?: string;
}

/** Answers a request of the registry's API. */
export async function handle(handlers: Handlers, exchange: Exchange): Promise<Response> {
  const { request, path, search } = exchange;
  try {
    const asked = parseRoute(path);
    if (asked === undefined) throw fault("NOT_FOUND", "there is nothing at this path");
    exchange.route = asked.kind;
    const query = new URLSearchParams(search);
    const passage = "name" in asked ? handlers.cache.passage(asked.name, query.get("ns")) : undefined;
    const route = passage === undefined ? asked : { ...asked, name: passage.local };
    const access = await handlers.gate.admit(request, needsOf(route, request.method));
    if (access.user !== undefined) exchange.user = access.user;
    const call: Call = {
      request,
      query,
      access,
      announce: (event) =>
        handlers.parts.announce(event, { peer: exchange.peer, ...(access.user && { user: access.user }) }),
    };
    if (passage !== undefined) return await dispatchCached(handlers, call, route, passage);
    return await dispatch(handlers, call, route);
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
  if (isUpload || WRITES.has(method)) {
    return [
      { name, action: "pull" },
      { name, action: "push" },
    ];
  }
  return [{ name, action: method === "DELETE" ? "delete" : "pull" }];
}

/** Answers for a repository of an upstream: what is asked for is brought here first. */
async function dispatchCached(handlers: Handlers, call: Call, route: Route, passage: Passage): Promise<Response> {
  const { cache } = handlers;
  const { method } = call.request;
  if (method !== "GET" && method !== "HEAD") {
    throw fault("UNSUPPORTED", "this repository is a copy of an upstream one and only read");
  }
  if (route.kind === "manifest") {
    const warning = await cache.manifest(passage, route.reference);
    const response = await dispatch(handlers, call, route);
    if (warning !== undefined) response.headers.set("Warning", warning);
    return response;
  }
  if (route.kind === "blob") await cache.blob(passage, route.digest);
  const search = new URLSearchParams(call.query);
  search.delete("ns");
  const query = search.size === 0 ? "" : `?${search}`;
  const list =
    route.kind === "tags"
      ? `tags/list${query}`
      : route.kind === "referrers"
        ? `referrers/${route.digest}${query}`
        : undefined;
  const upstream = list === undefined ? undefined : await cache.list(passage, list, call.request.signal);
  return upstream ?? (await dispatch(handlers, call, route));
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
      if (method === "DELETE") return await deleteManifest(parts, call, route.name, route.reference);
      break;
    case "blob":
      if (isRead) return await readBlob(parts, call, route.name, route.digest);
      if (method === "DELETE") return await deleteBlob(parts, call, route.name, route.digest);
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
